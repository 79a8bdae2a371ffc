/**
 * How requests reach one peer: over one of its addresses, the next one after a failure. Connections are kept for a moment, below the
 * time after which an idle one is closed by the other end.
 */
import { emptyBytes } from '#std/bytes.ts';
import { createFetch, type Fetch } from '#transport/fetch.ts';
import type { HeaderList, HttpResponse } from '#transport/http.ts';
import { ioTimeoutMs, type PeerContext, type PeerTls } from './context.ts';

/** Two streams, four posts, snapshots, a probe. */
const connectionsMax = 16;
const idleTimeoutMs = ioTimeoutMs - 1000;

export interface PeerRequest {
  readonly method: 'GET' | 'POST';
  /** From the slash on. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export class PeerLink implements AsyncDisposable {
  readonly #context: Pick<PeerContext, 'dialTimeoutMs' | 'tls'>;
  readonly #fetches = new Map<string, Fetch>();
  #urls: readonly string[];
  #picked = 0;

  /** @param urls at least one, `http://host:port` or `https://host:port` */
  constructor(context: Pick<PeerContext, 'dialTimeoutMs' | 'tls'>, urls: readonly string[]) {
    this.#context = context;
    this.#urls = urls;
  }

  update(urls: readonly string[]): void {
    const gone = [...this.#fetches].filter(([url]) => !urls.includes(url));
    for (const [url, fetch] of gone) {
      this.#fetches.delete(url);
      void fetch[Symbol.asyncDispose]();
    }
    this.#urls = urls;
    this.#picked = 0;
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
  async request(url: string, { method, path, headers, body, signal }: PeerRequest): Promise<HttpResponse> {
    const fetch = this.#fetchOf(url);
    return await fetch({
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

  /** New connections use it. */
  reload(tls: PeerTls): void {
    for (const [url, fetch] of this.#fetches) if (url.startsWith('https:')) fetch.reload(tls);
  }

  /** Breaks off every request. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#fetches.values()].map((fetch) => fetch[Symbol.asyncDispose]()));
    this.#fetches.clear();
  }

  #fetchOf(url: string): Fetch {
    const known = this.#fetches.get(url);
    if (known !== undefined) return known;
    const tls = this.#context.tls();
    const { dialTimeoutMs } = this.#context;
    const fetch = createFetch({ address: url, connectionsMax, idleTimeoutMs, dialTimeoutMs, ...(tls && { tls }) });
    this.#fetches.set(url, fetch);
    return fetch;
  }
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}
