/**
 * Both ends of SPDY/3.1 on a connection that was taken over after its HTTP head, as Kubernetes streams over it: the client opens streams, both
 * sides write and end them. There are no windows: a reader that is slow slows its whole connection, as with upstream's library.
 */
import type { Duplex } from 'node:stream';
import { systemClock } from '#host/clock.ts';
import { RstStatus, SpdyDecoder, SpdyEncoder, type SpdyHeaders } from '#wire/spdy/frame.ts';
import { type HttpRequest, type HttpResponse, header } from './http.ts';
import { roomIn } from './relay.ts';

export interface SpdyStream {
  readonly id: number;
  /** What it was opened with; names in lower case. */
  readonly headers: SpdyHeaders;
  /** Ends when the peer ends its side; throws when the stream was reset or the connection broke. To be read once. */
  readonly data: AsyncIterable<Uint8Array>;
  /** Resolves when there is room for more. Nothing is sent once the stream or its connection is closed. */
  write(data: Uint8Array): Promise<void>;
  /** Nothing more will be written. */
  end(): void;
  /** Breaks it off, both ways. */
  reset(): void;
}

export interface SpdyConnection {
  /** The version of the protocol above it that both sides speak. */
  readonly protocol: string;
  /** Streams as the peer opens them, accepted already. Ends with the connection. To be read once. */
  readonly streams: AsyncIterable<SpdyStream>;
  /** Says goodbye; what was written is still sent. */
  close(): void;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
}

/** The client's end. */
export interface SpdyClientConnection {
  open(headers: SpdyHeaders): SpdyStream;
  /** Says goodbye; what was written is still sent. */
  close(): void;
  readonly closed: Promise<void>;
}

export const spdyProtocol = 'SPDY/3.1';
/** The version of the protocol above SPDY, in requests and answers. */
export const versionHeader = 'x-stream-protocol-version';
/** Streams open at once; more are refused. */
export const streamsMax = 1000;
/** Bytes and streams that came and were not read; more wait in the socket. */
const pendingBytesMax = 256 << 10;
/** A peer that was told goodbye has this long to close. */
const closeTimeoutMs = 5000;
/** A data frame carries at most 2^24-1 bytes; smaller ones let streams take turns. */
const frameBytesMax = 64 << 10;

export function asksForSpdy(request: HttpRequest): boolean {
  return (
    (header(request.headers, 'upgrade') ?? '').toLowerCase() === spdyProtocol.toLowerCase() &&
    (header(request.headers, 'connection') ?? '').toLowerCase().includes('upgrade')
  );
}

/**
 * The answer to a request for SPDY. Of the versions the client offers the first that is in `protocols` is spoken; without one it is refused
 * with those that are. `serve` gets the connection once it is taken over; when it is done the connection closes.
 */
export function acceptSpdy(
  request: HttpRequest,
  protocols: readonly string[],
  serve: (connection: SpdyConnection) => Promise<void>,
): HttpResponse {
  const offered = request.headers
    .filter(([name]) => name === versionHeader)
    .flatMap(([, value]) => value.split(',').map((protocol) => protocol.trim()));
  const protocol = offered.find((name) => protocols.includes(name));
  if (protocol === undefined)
    return {
      status: 403,
      headers: protocols.map((name) => ['x-accepted-stream-protocol-versions', name] as const),
      body: Buffer.from(
        `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${protocols.join(' ')}]`,
      ),
    };
  return {
    status: 101,
    headers: [
      ['connection', 'Upgrade'],
      ['upgrade', spdyProtocol],
      [versionHeader, protocol],
    ],
    body: new Uint8Array(0),
    upgrade: (socket, head) => {
      const connection = new Connection('server', socket, head, protocol);
      const done = () => connection.close();
      serve(connection).then(done, done);
    },
  };
}

/** The client's end of a connection whose server has agreed to speak SPDY. */
export function connectSpdy(socket: Duplex): SpdyClientConnection {
  return new Connection('client', socket, new Uint8Array(0), '');
}

class Connection implements SpdyConnection, SpdyClientConnection {
  readonly protocol: string;
  readonly #role: 'client' | 'server';
  readonly closed: Promise<void>;
  readonly #socket: Duplex;
  readonly #decoder = new SpdyDecoder();
  readonly #encoder = new SpdyEncoder();
  readonly #open = new Map<number, Stream>();
  readonly #incoming = new Inbox<SpdyStream>(() => {});
  #lastStreamId = 0;
  #nextStreamId = 1;
  #pendingBytes = 0;
  #closing = false;

  constructor(role: 'client' | 'server', socket: Duplex, head: Uint8Array, protocol: string) {
    this.#role = role;
    this.protocol = protocol;
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // What was sent is known; how the peer went does not matter.
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      for (const stream of this.#open.values()) stream.break();
      this.#open.clear();
      this.#incoming.end();
      resolve();
    });
    if (head.length > 0) this.#receive(head);
  }

  get streams(): AsyncIterable<SpdyStream> {
    return this.#incoming;
  }

  open(headers: SpdyHeaders): SpdyStream {
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    const stream = this.#add(id, headers);
    void this.#send(this.#encoder.synStream(id, headers));
    return stream;
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.end(this.#encoder.goaway(this.#lastStreamId));
    socket.resume();
    const timer = systemClock.after(closeTimeoutMs, () => socket.destroy());
    socket.once('close', () => timer[Symbol.dispose]());
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const frame of this.#decoder.push(chunk))
        switch (frame.kind) {
          case 'syn-stream':
            this.#opened(frame.streamId, frame.headers, frame.fin);
            break;
          case 'data':
            this.#open.get(frame.streamId)?.received(frame.data, frame.fin);
            break;
          case 'headers':
          case 'syn-reply':
            if (frame.fin) this.#open.get(frame.streamId)?.received(new Uint8Array(0), true);
            break;
          case 'rst-stream':
            this.#open.get(frame.streamId)?.break();
            this.#open.delete(frame.streamId);
            break;
          case 'ping':
            // A client's are odd, a server's even; who sent it waits for it.
            if ((frame.id % 2 === 1) === (this.#role === 'server')) void this.#send(this.#encoder.ping(frame.id));
            break;
          case 'goaway':
            break;
        }
    } catch {
      this.#socket.destroy();
    }
  }

  #opened(id: number, headers: SpdyHeaders, fin: boolean): void {
    if (this.#closing) return;
    if (this.#role === 'client' || id % 2 === 0 || id <= this.#lastStreamId) {
      void this.#send(this.#encoder.rstStream(id, RstStatus.protocolError));
      return;
    }
    this.#lastStreamId = id;
    if (this.#open.size >= streamsMax) {
      void this.#send(this.#encoder.rstStream(id, RstStatus.refusedStream));
      return;
    }
    const stream = this.#add(id, headers);
    void this.#send(this.#encoder.synReply(id));
    if (fin) stream.received(new Uint8Array(0), true);
    this.#incoming.push(stream);
  }

  #add(id: number, headers: SpdyHeaders): Stream {
    const stream = new Stream(id, headers, {
      frame: (data, end) => this.#send(this.#encoder.data(id, data, end)),
      reset: () => {
        this.#open.delete(id);
        void this.#send(this.#encoder.rstStream(id, RstStatus.cancel));
      },
      over: () => this.#open.delete(id),
      pending: (bytes) => this.#count(bytes),
    });
    this.#open.set(id, stream);
    return stream;
  }

  #count(bytes: number): void {
    this.#pendingBytes += bytes;
    if (this.#pendingBytes > pendingBytesMax) this.#socket.pause();
    else if (this.#socket.isPaused() && this.#pendingBytes < pendingBytesMax / 2) this.#socket.resume();
  }

  async #send(frame: Uint8Array): Promise<void> {
    if (this.#closing || this.#socket.destroyed || this.#socket.writableEnded) return;
    if (!this.#socket.write(frame)) await roomIn(this.#socket);
  }
}

interface StreamWire {
  frame(data: Uint8Array, end: boolean): Promise<void>;
  reset(): void;
  /** Both sides have ended. */
  over(): void;
  /** Bytes that came (positive) or were read. */
  pending(bytes: number): void;
}

class Stream implements SpdyStream {
  readonly id: number;
  readonly headers: SpdyHeaders;
  readonly #wire: StreamWire;
  readonly #inbox: Inbox<Uint8Array>;
  #readEnded = false;
  #writeEnded = false;

  constructor(id: number, headers: SpdyHeaders, wire: StreamWire) {
    this.id = id;
    this.headers = headers;
    this.#wire = wire;
    this.#inbox = new Inbox((data) => wire.pending(-data.length));
  }

  get data(): AsyncIterable<Uint8Array> {
    return this.#inbox;
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && !this.#writeEnded; at += frameBytesMax)
      await this.#wire.frame(data.subarray(at, at + frameBytesMax), false);
  }

  end(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    void this.#wire.frame(new Uint8Array(0), true);
    if (this.#readEnded) this.#wire.over();
  }

  reset(): void {
    if (this.#readEnded && this.#writeEnded) return;
    this.#wire.reset();
    this.break();
  }

  received(data: Uint8Array, fin: boolean): void {
    if (this.#readEnded) return;
    if (data.length > 0 && this.#inbox.push(data)) this.#wire.pending(data.length);
    if (!fin) return;
    this.#readEnded = true;
    this.#inbox.end();
    if (this.#writeEnded) this.#wire.over();
  }

  /** The peer reset it, or is gone. */
  break(): void {
    this.#writeEnded = true;
    if (this.#readEnded) return;
    this.#readEnded = true;
    this.#inbox.end(new Error('stream reset'));
  }
}

/** Things for one reader, in order. What a reader leaves behind is dropped. */
class Inbox<T> implements AsyncIterable<T> {
  readonly #taken: (item: T) => void;
  #items: T[] = [];
  #end: { readonly error?: Error } | undefined;
  #wake: (() => void) | undefined;
  #left = false;

  constructor(taken: (item: T) => void) {
    this.#taken = taken;
  }

  /** @returns whether it was kept */
  push(item: T): boolean {
    if (this.#left || this.#end !== undefined) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  end(error?: Error): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          this.#taken(item);
          yield item;
        } else if (this.#end !== undefined) {
          if (this.#end.error !== undefined) throw this.#end.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      this.#left = true;
      for (const item of this.#items) this.#taken(item);
      this.#items = [];
    }
  }
}
