/**
 * The way of a request through the server, as data: named stages in upstream's order, each a function around the next. Whoever wants to
 * know what happens to a request reads the list in `start.ts`. Source: DefaultBuildHandlerChain of k8s.io/apiserver.
 */
import { internalError, StatusError, timeoutError } from '#kube-machinery/status.ts';
import { type HttpHandler, type HttpRequest, type HttpResponse, header } from '#transport/http.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { type RequestInfo, requestInfoOf } from './request-info.ts';
import { isPretty } from './rest/scope.ts';
import { negotiate, type Representation } from './serialize/media.ts';
import { encodeValue } from './serialize/representation.ts';
import { anonymousUser, type UserInfo, unauthenticatedGroup } from './user.ts';

/** What is known of a request so far; each stage hands a richer one on. */
export interface RequestContext {
  readonly request: HttpRequest;
  readonly info: RequestInfo;
  readonly user: UserInfo;
}

export type Handler = (context: RequestContext) => Promise<HttpResponse>;

export interface Stage {
  /** As upstream names the filter. */
  readonly name: string;
  readonly run: (context: RequestContext, next: Handler) => Promise<HttpResponse>;
}

const nobody: UserInfo = { name: anonymousUser, groups: [unauthenticatedGroup] };

/** Joins the stages around the last handler. The result answers every request and never rejects, but for a client that went away. */
export function createPipeline(
  stages: readonly Stage[],
  last: Handler,
  warn: (message: string, error?: unknown) => void,
): HttpHandler {
  const chain = stages.reduceRight<Handler>((next, stage) => (context) => stage.run(context, next), last);
  return async (request) => {
    const info = requestInfoOf(request.method, request.target);
    if (info === undefined) return plain(400, 'Bad Request\n');
    try {
      return await chain({ request, info, user: nobody });
    } catch (error) {
      if (request.signal.aborted) throw error;
      const status = statusErrorOf(error);
      if (status.code >= 500) warn(`${request.method} ${info.path}: ${status.message}`, error);
      return errorResponse(status, request, info);
    }
  };
}

/** Every failure as the one kind clients know. */
function statusErrorOf(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (error instanceof RpcError)
    return error.code === Code.DeadlineExceeded ? allottedTimeoutError() : internalError(error.message);
  return internalError(error);
}

/** 504, for whoever has waited as long as a request may take. */
export function allottedTimeoutError(): StatusError {
  return timeoutError('request did not complete within the allotted timeout');
}

export function errorResponse(error: StatusError, request: HttpRequest, info: RequestInfo): HttpResponse {
  let representation: Representation = { format: 'json', as: 'Object', pretty: false };
  try {
    representation = negotiate(header(request.headers, 'accept'), isPretty(info.query), false);
  } catch {
    // An error is told in JSON to those who accept nothing we have.
  }
  const { contentType, body } = encodeValue(error.status, representation);
  const retry = error.status.details?.retryAfterSeconds;
  return {
    status: error.code,
    headers: [
      ['content-type', contentType],
      ['cache-control', 'no-cache, private'],
      ...(retry ? [['retry-after', String(retry)] as const] : []),
    ],
    body,
  };
}

export function plain(status: number, text: string): HttpResponse {
  return {
    status,
    headers: [
      ['content-type', 'text/plain; charset=utf-8'],
      ['x-content-type-options', 'nosniff'],
    ],
    body: Buffer.from(text),
  };
}
