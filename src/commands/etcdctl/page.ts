/** A page that a server has beside its calls, over HTTP/1.1: `/metrics`. */
import type { DialTarget } from '#transport/dial.ts';
import { createFetch } from '#transport/fetch.ts';
import type { HeaderList } from '#transport/http.ts';

export interface Page {
  readonly path: string;
  readonly status: number;
  readonly headers: HeaderList;
  readonly text: string;
  /** Wall time, in milliseconds since 1970: before the request was sent, after the head of the answer had come. */
  readonly sentMs: number;
  readonly receivedMs: number;
}

export interface PageOptions {
  /** `http://host:port`, or as {@link createFetch} takes it. */
  readonly address: string;
  readonly path: string;
  readonly tls: DialTarget['tls'];
  readonly timeoutMs: number;
  /** 0 is no limit of its own. */
  readonly dialTimeoutMs: number;
  readonly now: () => number;
}

/** The metrics of the largest servers are a few. */
const pageBytesMax = 32 << 20;

/** A connection of its own. @throws Error that Node words, or because the page is too large */
export async function getPage({ address, path, tls, timeoutMs, dialTimeoutMs, now }: PageOptions): Promise<Page> {
  await using fetch = createFetch({ address, ...(tls && { tls }), ...(dialTimeoutMs > 0 && { dialTimeoutMs }) });
  const sentMs = now();
  const { status, headers, body } = await fetch({
    method: 'GET',
    target: path,
    headers: [],
    authority: URL.canParse(address) ? new URL(address).host : 'localhost',
    protocol: 'HTTP/1.1',
    body: (async function* () {})(),
    peer: { address },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const receivedMs = now();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    bytes += chunk.length;
    if (bytes > pageBytesMax) throw new Error(`${path} has more than ${pageBytesMax} bytes`);
    chunks.push(chunk);
  }
  return { path, status, headers, text: Buffer.concat(chunks).toString(), sentMs, receivedMs };
}
