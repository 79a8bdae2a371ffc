/**
 * The streaming server: Exec, Attach and PortForward answer with a URL on it, which works once and for a minute. It listens on loopback and hands the
 * request to whoever made the URL; the token in the path is the right to use it.
 */

import type { Clock, Timer } from '#std/clock.ts';
import { type Prng, randomBytes } from '#std/prng.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from '#transport/http.ts';
import { type Listener, listen } from '#transport/listen.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

/** Both as in the kubelet's streaming library. */
const tokenLifetimeMs = 60_000;
export const tokensMax = 1000;

type Serve = (request: HttpRequest) => HttpResponse | Promise<HttpResponse>;

export class StreamingServer implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #prng: Prng;
  readonly #tokens = new Map<string, { readonly serve: Serve; readonly expiry: Timer }>();
  #listener: Listener | undefined;

  constructor(clock: Clock, prng: Prng) {
    this.#clock = clock;
    this.#prng = prng;
  }

  async listen(): Promise<void> {
    const handler: HttpHandler = async (request) => this.#answer(request);
    this.#listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler });
  }

  /** A URL under which `serve` answers one request. */
  offer(kind: 'exec' | 'attach' | 'portforward', serve: Serve): string {
    if (this.#listener === undefined) throw new RpcError(Code.Unavailable, 'streaming server is not running');
    if (this.#tokens.size >= tokensMax)
      throw new RpcError(Code.ResourceExhausted, 'maximum number of in-flight requests exceeded');
    const token = Buffer.from(randomBytes(this.#prng, 24)).toString('base64url');
    const expiry = this.#clock.after(tokenLifetimeMs, () => this.#tokens.delete(token));
    this.#tokens.set(token, { serve, expiry });
    return `http://127.0.0.1:${this.#listener.port}/${kind}/${token}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { expiry } of this.#tokens.values()) expiry[Symbol.dispose]();
    this.#tokens.clear();
    await this.#listener?.[Symbol.asyncDispose]();
  }

  async #answer(request: HttpRequest): Promise<HttpResponse> {
    const token = request.target.split('?')[0]!.split('/')[2] ?? '';
    const entry = this.#tokens.get(token);
    if (entry === undefined)
      return { status: 404, headers: [['content-type', 'text/plain']], body: Buffer.from('404 page not found\n') };
    this.#tokens.delete(token);
    entry.expiry[Symbol.dispose]();
    return entry.serve(request);
  }
}
