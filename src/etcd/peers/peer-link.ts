/** How requests reach one peer: over one of its addresses, the next one after a failure. */
import { emptyBytes } from '#std/bytes.ts';
import type { HeaderList, HttpHandler, HttpResponse } from '#transport/http.ts';
import type { PeerContext, PeerTls } from './context.ts';
import { FetchPool } from './fetch-pool.ts';

export interface PeerRequest {
  readonly method: 'GET' | 'POST';
  /** From the slash on. */
  readonly path: string;
  readonly headers: HeaderList;
  /** Of bytes the length is announced. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export class PeerLink implements AsyncDisposable {
  readonly #pool: FetchPool;
  #urls: readonly string[];
  #picked = 0;

  /** @param urls at least one, `http://host:port` or `https://host:port` */
  constructor({ dialTimeoutMs, tls }: Pick<PeerContext, 'dialTimeoutMs' | 'tls'>, urls: readonly string[]) {
    this.#pool = new FetchPool({ dialTimeoutMs, tls: tls() });
    this.#urls = urls;
  }

  update(urls: readonly string[]): void {
    this.#pool.retain(urls);
    this.#urls = urls;
    this.#picked = 0;
  }

  /** How many addresses there are. */
  get addresses(): number {
    return this.#urls.length;
  }

  /** The address to try now. */
  pick(): string {
    return this.#urls[this.#picked]!;
  }

  /** The address did not work: others are tried first. */
  unreachable(url: string): void {
    if (url === this.pick()) this.#picked = (this.#picked + 1) % this.#urls.length;
  }

  /** @throws what the socket says */
  async request(url: string, request: PeerRequest): Promise<HttpResponse> {
    return await ask(this.#pool.of(url), request);
  }

  reload(tls: PeerTls): void {
    this.#pool.reload(tls);
  }

  /** Breaks off every request. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }
}

export function ask(fetch: HttpHandler, { method, path, headers, body, signal }: PeerRequest): Promise<HttpResponse> {
  return fetch({
    method,
    target: path,
    headers: body instanceof Uint8Array ? [...headers, ['content-length', String(body.length)]] : headers,
    authority: '',
    protocol: 'HTTP/1.1',
    body: body instanceof Uint8Array || body === undefined ? single(body ?? emptyBytes) : body,
    peer: { address: 'in-process' },
    signal,
  });
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}
