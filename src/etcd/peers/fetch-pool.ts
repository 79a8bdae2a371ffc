/** HTTP clients of peer addresses, one an address, made when they are first asked for. */
import { createFetch, type Fetch } from '#transport/fetch.ts';
import { ioTimeoutMs, type PeerTls } from './context.ts';

/** To one address: two streams, four posts, snapshots, a probe. */
const connectionsMax = 16;
/** Below the time after which the other end closes an idle connection. */
const idleTimeoutMs = ioTimeoutMs - 1000;
/** Addresses; of more the one that was made first is let go. */
const addressesMax = 64;

export class FetchPool implements AsyncDisposable {
  readonly #dialTimeoutMs: number;
  readonly #fetches = new Map<string, Fetch>();
  #tls: PeerTls | undefined;

  constructor(options: { readonly dialTimeoutMs: number; readonly tls: PeerTls | undefined }) {
    this.#dialTimeoutMs = options.dialTimeoutMs;
    this.#tls = options.tls;
  }

  /** @throws TypeError for what is no address */
  of(url: string): Fetch {
    const known = this.#fetches.get(url);
    if (known !== undefined) return known;
    const fetch = createFetch({
      address: url,
      connectionsMax,
      idleTimeoutMs,
      dialTimeoutMs: this.#dialTimeoutMs,
      ...(this.#tls && { tls: this.#tls }),
    });
    if (this.#fetches.size >= addressesMax) {
      const [oldest] = this.#fetches.keys();
      this.#drop(oldest!);
    }
    this.#fetches.set(url, fetch);
    return fetch;
  }

  /** Breaks off what goes to other addresses. */
  retain(urls: readonly string[]): void {
    for (const url of [...this.#fetches.keys()]) if (!urls.includes(url)) this.#drop(url);
  }

  /** New connections use it; those that stand keep theirs. */
  reload(tls: PeerTls): void {
    this.#tls = tls;
    for (const [url, fetch] of this.#fetches) if (url.startsWith('https:')) fetch.reload(tls);
  }

  /** Breaks off every request. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#fetches.values()].map((fetch) => fetch[Symbol.asyncDispose]()));
    this.#fetches.clear();
  }

  #drop(url: string): void {
    const fetch = this.#fetches.get(url);
    this.#fetches.delete(url);
    // Closes its sockets at once; there is nothing that could fail.
    void fetch?.[Symbol.asyncDispose]();
  }
}
