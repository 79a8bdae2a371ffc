/**
 * The seams between the pipeline's stages: what authentication is given and answers, what authorization is asked. Each stage is a
 * plain function, so that webhooks, tests and other clusters can stand in for ours.
 */
import type { HttpRequest } from '#transport/http.ts';
import type { RequestInfo } from './request-info.ts';
import type { UserInfo } from './user.ts';

/**
 * Proves who sent the request. Undefined: no credentials of this kind were presented, so the next authenticator is asked.
 * Throws StatusError (Unauthorized) for credentials that are presented and wrong.
 */
export type Authenticator = (request: HttpRequest) => Promise<UserInfo | undefined> | UserInfo | undefined;

/** What authorization decides on: the request's target and its user. Source: authorizer.Attributes of k8s.io/apiserver. */
export interface AuthorizationAttributes {
  readonly user: UserInfo;
  readonly info: RequestInfo;
}

export interface Decision {
  readonly allowed: boolean;
  /** Which rule allowed it, or why nothing did; part of upstream's 403 message. */
  readonly reason: string;
}

/** Synchronous on purpose: rules are indexed in memory, kept fresh by watches. */
export type Authorizer = (attributes: AuthorizationAttributes) => Decision;
