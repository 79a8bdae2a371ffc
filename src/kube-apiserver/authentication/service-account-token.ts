/**
 * Tokens of service accounts: made by the `token` subresource, believed while the account and the object they are bound to exist.
 * Source: pkg/serviceaccount (claims) and KEP-1205.
 */

import { unauthorizedError } from '#kube-machinery/status.ts';
import { TokenError, type TokenSigner } from '#pki/token-signer.ts';
import type { Clock } from '#std/clock.ts';
import type { ObjectReader } from '../reader.ts';
import { serviceAccountsGroup, serviceAccountUser, type UserInfo } from '../user.ts';
import { cachedClaims } from './claims-cache.ts';

export interface Bound {
  readonly name: string;
  readonly uid: string;
}

export interface ServiceAccountClaims {
  readonly namespace: string;
  readonly serviceaccount: Bound;
  readonly pod?: Bound;
  readonly secret?: Bound;
  readonly node?: Partial<Bound>;
  readonly warnafter?: number;
}

export const claimsKey = 'kubernetes.io';
const extraPrefix = 'authentication.kubernetes.io/';

/** @returns undefined for tokens of other issuers. @throws StatusError Unauthorized */
export function serviceAccountTokens(options: {
  readonly signer: TokenSigner;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly reader: ObjectReader;
  readonly clock: Clock;
  readonly warn: (message: string) => void;
}): (token: string, audiences?: readonly string[]) => Promise<UserInfo | undefined> {
  const { signer, issuer, reader, clock, warn } = options;
  const verified = cachedClaims((token) => signer.verify(token), clock);
  /** The object, as long as it is the one that is meant: the cache will do, but what it does not have yet may be in the store. */
  const stands = async (resource: string, namespace: string, { name, uid }: Bound): Promise<boolean> =>
    reader.get({ group: '', resource }, namespace, name)?.metadata.uid === uid ||
    (await reader.getLatest({ group: '', resource }, namespace, name))?.metadata.uid === uid;
  return async (token, audiences = options.audiences) => {
    if (issuerOf(token) !== issuer) return undefined;
    const refuse = (why: string) => {
      warn(`a service account token was refused: ${why}`);
      return unauthorizedError();
    };
    let claims: Readonly<Record<string, unknown>>;
    try {
      claims = await verified(token);
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      throw refuse(error.message);
    }
    const given = [claims['aud'] ?? []].flat() as string[];
    if (!given.some((audience) => audiences.includes(audience))) throw refuse('its audience is another');
    const own = claims[claimsKey] as ServiceAccountClaims | undefined;
    if (own === undefined) throw refuse('it says nothing of a service account');
    const { namespace, serviceaccount: account } = own;
    if (!(await stands('serviceaccounts', namespace, account)))
      throw refuse(`the account ${namespace}/${account.name} is gone`);
    for (const [bound, resource] of [
      [own.pod, 'pods'],
      [own.secret, 'secrets'],
    ] as const) {
      if (bound === undefined) continue;
      if (!(await stands(resource, namespace, bound)))
        throw refuse(`what it is bound to, ${resource}/${bound.name}, is gone`);
    }
    return {
      name: serviceAccountUser(namespace, account.name),
      uid: account.uid,
      groups: [serviceAccountsGroup, `${serviceAccountsGroup}:${namespace}`],
      extra: {
        ...(claims['jti'] !== undefined && { [`${extraPrefix}credential-id`]: [`JTI=${String(claims['jti'])}`] }),
        ...(own.pod && {
          [`${extraPrefix}pod-name`]: [own.pod.name],
          [`${extraPrefix}pod-uid`]: [own.pod.uid],
        }),
        ...(own.node?.name && { [`${extraPrefix}node-name`]: [own.node.name] }),
        ...(own.node?.uid && { [`${extraPrefix}node-uid`]: [own.node.uid] }),
      },
    };
  };
}

/** Read without belief, only to see whose the token claims to be. */
function issuerOf(token: string): unknown {
  const [, payload] = token.split('.');
  if (payload === undefined) return undefined;
  try {
    return (JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { iss?: unknown } | null)?.iss;
  } catch {
    return undefined;
  }
}
