/**
 * HTTP as values: what a request is to the code that answers it, whichever wire brought it (HTTP/1.1, HTTP/2, TLS or not,
 * unix socket, or a caller in this process). Servers and clients of every HTTP interface of Wherry meet here.
 */
import type { Duplex } from 'node:stream';

/** Lower-case names, in the order of arrival; a name may repeat. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Who is asking, as the transport proved it. A caller in this process states its component identity here. */
export interface HttpPeer {
  /** `ip:port`, a unix socket's path, or `in-memory`. */
  readonly address: string;
  /** The connection is TLS. */
  readonly secure?: true;
  /** Subject of a verified client certificate: common name, organisations, and the certificate itself (DER). */
  readonly certificate?: {
    readonly commonName: string;
    readonly organizations: readonly string[];
    readonly uid?: string;
    readonly der: Uint8Array;
  };
  /** A component of this process, authenticated by construction; goes through authorization as this user. */
  readonly component?: { readonly user: string; readonly groups: readonly string[] };
}

export interface HttpRequest {
  readonly method: string;
  /** Path and query as sent, starting with `/`. */
  readonly target: string;
  readonly headers: HeaderList;
  /** The `:authority` or Host. */
  readonly authority: string;
  readonly protocol: 'HTTP/1.1' | 'HTTP/2.0';
  /** Chunks of the body; empty for none. Reads must bound what they collect. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly peer: HttpPeer;
  /** Aborts when the peer goes away or resets the stream. */
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: HeaderList;
  /** All of the body at once, or a stream of it (each chunk flushed: a watch event leaves when it happens). */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /**
   * With status 101: takes over the connection after the response head was written. `head` holds bytes that the peer sent
   * early. The HTTP/1.1 server and the in-memory transport honour it; HTTP/2 answers 501 instead.
   */
  readonly upgrade?: (connection: Duplex, head: Uint8Array) => void;
  /**
   * The body as its bytes come to be, instead of `body` (which is empty then, or the same bytes), without a promise per chunk: who
   * answers pushes into the sink that whoever takes the answer gives, once. Both servers take and the HTTP/1.1 client offers it.
   */
  readonly push?: (sink: BodySink) => BodySource;
}

/** Where a pushed body goes. */
export interface BodySink {
  /** Takes bytes, which must not change any more. False when it has enough: go on after `room`. Nothing happens after the end. */
  write(bytes: Uint8Array): boolean;
  /** The body is whole. */
  end(): void;
  /** The body is cut off: whoever reads it sees an error. */
  destroy(error?: Error): void;
}

/** Where a pushed body comes from, as told by the sink. */
export interface BodySource {
  /** There is room again. */
  room(): void;
  /** Nothing is taken any more, because the body has ended or its reader went away. Called once. */
  gone(): void;
}

/** A server is a function. So is a client: a `fetch` that ends in memory calls the server's function itself. */
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** First value of a header, by lower-case name. */
export function header(headers: HeaderList, name: string): string | undefined {
  for (const [key, value] of headers) if (key === name) return value;
  return undefined;
}
