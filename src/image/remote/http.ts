/**
 * HTTP for registries: one request at a time over kept connections, redirects followed, a silent peer given up on. Failures to reach the
 * registry are worded as Go's net/http words them, since users see them in pod events. It knows nothing of registries.
 */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Clock } from '#std/clock.ts';
import { ContentError } from '../error.ts';

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The body must be read to its end or destroyed. */
export interface RegistryResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: IncomingMessage;
  /** Where the answer came from after redirects. */
  readonly url: string;
}

/** As Go's client. */
const redirectsMax = 10;
/** A peer that says nothing for this long is given up on. */
const silenceMs = 30_000;
const connectionsMax = 8;

export class RegistryHttp implements Disposable {
  readonly #clock: Clock;
  readonly #plain = new HttpAgent({ keepAlive: true, maxSockets: connectionsMax });
  readonly #secure: HttpsAgent;

  /** `certificateAuthority`: PEM; by default the system's. */
  constructor(clock: Clock, certificateAuthority?: string) {
    this.#clock = clock;
    this.#secure = new HttpsAgent({
      keepAlive: true,
      maxSockets: connectionsMax,
      ...(certificateAuthority === undefined ? {} : { ca: certificateAuthority }),
    });
  }

  /** Rejects with ContentError Unavailable when there is no answer, or with the signal's reason. */
  async send(request: RegistryRequest): Promise<RegistryResponse> {
    let { url } = request;
    let headers = request.headers ?? {};
    for (let hops = 0; ; hops++) {
      const body = await this.#once({ ...request, url, headers });
      const status = body.statusCode!;
      const { location } = body.headers;
      if (location === undefined || ![301, 302, 303, 307, 308].includes(status))
        return { status, headers: body.headers, body, url };
      body.destroy();
      if (hops === redirectsMax) throw failed(request, 'stopped after 10 redirects');
      const target = new URL(location, url);
      // Credentials are for the registry, not for where it keeps its blobs.
      if (target.host !== new URL(url).host) {
        const { authorization: _, ...rest } = headers;
        headers = rest;
      }
      url = target.href;
    }
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #once(request: RegistryRequest): Promise<IncomingMessage> {
    const { method, url, headers = {}, body, signal } = request;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const secure = url.startsWith('https:');
      const outgoing = (secure ? requestHttps : requestHttp)(url, {
        method,
        headers: { 'user-agent': 'containerd/2.3', ...headers },
        agent: secure ? this.#secure : this.#plain,
      });
      let silence = this.#clock.after(silenceMs, () => outgoing.destroy(new Error('i/o timeout')));
      const abort = () => outgoing.destroy(signal!.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      outgoing.once('close', () => {
        silence[Symbol.dispose]();
        signal?.removeEventListener('abort', abort);
      });
      outgoing.once('error', (error) => reject(signal?.aborted ? (signal.reason as Error) : explained(request, error)));
      outgoing.once('response', (response) => {
        const heard = () => {
          silence[Symbol.dispose]();
          silence = this.#clock.after(silenceMs, () => response.destroy(new Error('i/o timeout')));
        };
        heard();
        response.on('readable', heard);
        // An error of the body is its reader's; without one there is nobody to tell.
        response.on('error', () => {});
        resolve(response);
      });
      outgoing.end(body);
    });
  }
}

function explained(request: RegistryRequest, error: NodeJS.ErrnoException): ContentError {
  const { hostname, port, protocol } = new URL(request.url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const dialled = error as NodeJS.ErrnoException & { address?: string; port?: number; errors?: (typeof error)[] };
  const first = dialled.errors?.[0] ?? dialled;
  const address = (first as typeof dialled).address ?? host;
  const at = `${address.includes(':') ? `[${address}]` : address}:${port || (protocol === 'https:' ? 443 : 80)}`;
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: `dial tcp ${at}: connect: connection refused`,
    EHOSTUNREACH: `dial tcp ${at}: connect: no route to host`,
    ENETUNREACH: `dial tcp ${at}: connect: network is unreachable`,
    ETIMEDOUT: `dial tcp ${at}: i/o timeout`,
    ENOTFOUND: `dial tcp: lookup ${host}: no such host`,
    EAI_AGAIN: `dial tcp: lookup ${host}: Temporary failure in name resolution`,
    ECONNRESET: 'EOF',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    SELF_SIGNED_CERT_IN_CHAIN: 'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    EPROTO: 'http: server gave HTTP response to HTTPS client',
  };
  return failed(request, words[first.code ?? ''] ?? first.message, error);
}

function failed({ method, url }: RegistryRequest, what: string, cause?: unknown): ContentError {
  const verb = `${method[0]}${method.slice(1).toLowerCase()}`;
  return new ContentError('Unavailable', `failed to do request: ${verb} ${JSON.stringify(url)}: ${what}`, cause);
}

/** A small body whole; more than `bytesMax` is refused. */
export async function readBody(response: RegistryResponse, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response.body as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > bytesMax) {
      response.body.destroy();
      throw new ContentError('OutOfRange', `${response.url}: answer is larger than ${bytesMax} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
