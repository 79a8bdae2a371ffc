/**
 * One request of the Kubernetes API over any `HttpHandler`: identity, headers, a bounded answer, failures as `StatusError`, and the
 * retries a server asks for. Knows nothing of resources.
 */

import { failure, type Status, StatusError, timeoutError } from '#kube-machinery/status.ts';
import { emptyBytes, utf8Decode, utf8Encode } from '#std/bytes.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { type HttpHandler, type HttpResponse, header } from '#transport/http.ts';

export interface ExchangeConfig {
  readonly fetch: HttpHandler;
  /** Who asks, when `fetch` ends in this process. */
  readonly component?: { readonly user: string; readonly groups: readonly string[] };
  /** A bearer token, when it does not. A function is asked anew for every request: tokens rotate. */
  readonly token?: string | (() => string);
  readonly clock: Clock;
  /** The name in `User-Agent`, from which the server derives the field manager. */
  readonly userAgent?: string;
}

export interface Exchange {
  readonly method: string;
  readonly target: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Default: JSON. */
  readonly accept?: string;
  /** Why a controller writes; kept by the server for `why`. */
  readonly cause?: string;
  readonly signal?: AbortSignal;
}

/** Everything one answer may hold; a list of more is to be paged. */
export const answerBytesMax = 256 << 20;
/** How often a request is repeated that the server answered with Retry-After. */
export const retriesMax = 10;
const requestTimeoutMs = 60_000;

/**
 * Sends and reads the whole answer as JSON.
 * @throws StatusError what the server answered; anything else is the transport's
 */
export async function exchangeJson<T>(config: ExchangeConfig, exchange: Exchange): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const aborter = new AbortController();
    const stop = () => aborter.abort(exchange.signal!.reason);
    if (exchange.signal?.aborted) throw exchange.signal.reason;
    exchange.signal?.addEventListener('abort', stop, { once: true });
    const deadline = config.clock.after(requestTimeoutMs, () =>
      aborter.abort(timeoutError(`no answer within ${requestTimeoutMs / 1000}s to ${exchange.method}`)),
    );
    let retryAfterMs: number;
    try {
      const response = await send(config, exchange, aborter.signal);
      const bytes = await orAborted(collect(response), aborter.signal);
      if (response.status >= 200 && response.status < 300) return JSON.parse(utf8Decode(bytes)) as T;
      const seconds = Number(header(response.headers, 'retry-after') ?? Number.NaN);
      const failed = errorOf(response.status, bytes);
      if (!Number.isFinite(seconds) || attempt >= retriesMax || (response.status !== 429 && response.status < 500))
        throw failed;
      retryAfterMs = seconds * 1000;
    } finally {
      deadline[Symbol.dispose]();
      exchange.signal?.removeEventListener('abort', stop);
    }
    await sleep(config.clock, retryAfterMs, exchange.signal);
  }
}

/**
 * Sends and hands over the answer's body while it comes. The caller's signal ends it.
 * @throws StatusError
 */
export async function exchangeStream(
  config: ExchangeConfig,
  exchange: Exchange & { readonly signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  const response = await send(config, exchange, exchange.signal);
  if (response.status !== 200) throw errorOf(response.status, await orAborted(collect(response), exchange.signal));
  return response.body instanceof Uint8Array ? once(response.body) : response.body;
}

async function send(config: ExchangeConfig, exchange: Exchange, signal: AbortSignal): Promise<HttpResponse> {
  const headers: [string, string][] = [
    ['accept', exchange.accept ?? 'application/json'],
    ['user-agent', config.userAgent ?? 'wherry'],
  ];
  const body = exchange.body === undefined ? undefined : utf8Encode(JSON.stringify(exchange.body));
  if (body !== undefined)
    headers.push(['content-type', exchange.contentType ?? 'application/json'], ['content-length', String(body.length)]);
  const token = typeof config.token === 'function' ? config.token() : config.token;
  if (token !== undefined) headers.push(['authorization', `Bearer ${token}`]);
  if (exchange.cause !== undefined) headers.push(['x-wherry-cause', encodeURIComponent(exchange.cause)]);
  const answer = config.fetch({
    method: exchange.method,
    target: exchange.target,
    headers,
    authority: 'kubernetes.default.svc',
    protocol: 'HTTP/1.1',
    body: once(body ?? emptyBytes),
    peer: { address: 'in-memory', ...(config.component && { component: config.component }) },
    signal,
  });
  return await orAborted(answer, signal);
}

async function collect({ body }: HttpResponse): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > answerBytesMax) throw new Error(`the answer is over ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/** A transport that forgets an aborted request must not hold its caller. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

/** What the server said, or client-go's words for an answer that is no Status. */
function errorOf(code: number, bytes: Uint8Array): StatusError {
  const text = utf8Decode(bytes.subarray(0, 64 << 10)).trim();
  if (text.startsWith('{'))
    try {
      const parsed = JSON.parse(text) as Partial<Status>;
      if (parsed.kind === 'Status') return new StatusError({ ...parsed, code: parsed.code ?? code } as Status);
    } catch {
      // Not a Status after all: told as text below.
    }
  return failure(
    code,
    reasons[code] ?? 'Unknown',
    text === '' ? `the server responded with the status code ${code}` : text,
  );
}

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};
