/**
 * The server's end of a WebSocket (RFC 6455) on a connection that an {@link HttpResponse} took over. Frames are the package ws's; this file knows
 * the handshake and back-pressure, nothing of what the messages mean.
 */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { type HttpRequest, type HttpResponse, header } from './http.ts';

export interface WebSocketConnection {
  /** The subprotocol both sides speak; empty for none. */
  readonly protocol: string;
  /** Whole messages. Ends when the peer closed; throws when the connection broke. Reading slowly slows the peer. */
  readonly messages: AsyncIterable<Uint8Array>;
  /** Sends one message, binary unless it is text. False: `await drained()` before the next one. Nothing is sent on a closed connection. */
  send(message: Uint8Array, kind?: 'binary' | 'text'): boolean;
  /** Resolves when there is room again, or the connection is closed. */
  drained(): Promise<void>;
  /** Says goodbye and closes once the peer did, or after a while. */
  close(code: number, reason: string): void;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
}

const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** A peer that was told goodbye has this long to answer. */
const closeTimeoutMs = 30_000;
const messageBytesMaxDefault = 32 << 20;
const sendBufferBytesMax = 256 << 10;

/** Whether a request asks for a WebSocket. */
export function asksForWebSocket(request: HttpRequest): boolean {
  return (
    (header(request.headers, 'upgrade') ?? '').toLowerCase() === 'websocket' &&
    (header(request.headers, 'connection') ?? '').toLowerCase().includes('upgrade')
  );
}

/**
 * The answer to a request for a WebSocket. `serve` gets the connection once it is taken over; what it rejects with closes it (1011).
 * Of the client's subprotocols the first that is in `protocols` is spoken; a client that offers only others is refused.
 */
export function acceptWebSocket(
  request: HttpRequest,
  options: { readonly protocols: readonly string[]; readonly messageBytesMax?: number },
  serve: (connection: WebSocketConnection) => Promise<void>,
): HttpResponse {
  const refuse = (status: number, text: string): HttpResponse => ({ status, headers: [], body: Buffer.from(text) });
  const key = header(request.headers, 'sec-websocket-key');
  if (request.method !== 'GET' || !asksForWebSocket(request) || key === undefined)
    return refuse(400, 'you must use a WebSocket to reach this URL');
  if (header(request.headers, 'sec-websocket-version') !== '13')
    return refuse(426, 'WebSocket version 13 is spoken here');
  const offered = request.headers
    .filter(([name]) => name === 'sec-websocket-protocol')
    .flatMap(([, value]) => value.split(',').map((protocol) => protocol.trim()));
  const protocol = offered.find((name) => options.protocols.includes(name)) ?? '';
  if (offered.length > 0 && protocol === '')
    return refuse(400, `none of the subprotocols ${offered.join(', ')} is spoken here`);
  return {
    status: 101,
    headers: [
      ['upgrade', 'websocket'],
      ['connection', 'Upgrade'],
      [
        'sec-websocket-accept',
        createHash('sha1')
          .update(key + acceptSuffix)
          .digest('base64'),
      ],
      ...(protocol === '' ? [] : [['sec-websocket-protocol', protocol] as const]),
    ],
    body: new Uint8Array(0),
    upgrade: (socket, head) => {
      const connection = new Connection(socket, head, protocol, options.messageBytesMax ?? messageBytesMaxDefault);
      serve(connection).then(
        () => connection.close(1000, ''),
        () => connection.close(1011, 'internal error'),
      );
    },
  };
}

/** ws makes the server's end of a connection exactly so; its type definitions leave it out. */
interface ServerWebSocket extends WebSocket {
  setSocket(socket: Duplex, head: Buffer, options: object): void;
}
const ServerSide = WebSocket as unknown as new (
  address: null,
  protocols: undefined,
  options: object,
) => ServerWebSocket;

class Connection implements WebSocketConnection {
  readonly protocol: string;
  readonly closed: Promise<void>;
  readonly #socket: ServerWebSocket;
  readonly #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #wake: (() => void) | undefined;
  #ended: { readonly error?: Error } | undefined;
  #room: (() => void)[] = [];

  constructor(stream: Duplex, head: Uint8Array, protocol: string, messageBytesMax: number) {
    this.protocol = protocol;
    const socket = new ServerSide(null, undefined, {
      autoPong: true,
      maxPendingAutoPongs: 16,
      closeTimeout: closeTimeoutMs,
    });
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.#pending.push(data);
      this.#pendingBytes += data.length;
      if (this.#pendingBytes > sendBufferBytesMax) socket.pause();
      this.#wake?.();
    });
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('close', () => {
      this.#ended = failure === undefined ? {} : { error: failure };
      this.#wake?.();
      this.#release();
      resolve();
    });
    socket.setSocket(stream, Buffer.from(head), {
      allowSynchronousEvents: true,
      maxPayload: messageBytesMax,
      maxBufferedChunks: 1 << 20,
      maxFragments: 1 << 17,
      skipUTF8Validation: false,
    });
  }

  get messages(): AsyncIterable<Uint8Array> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = this.#pending.shift();
      if (message !== undefined) {
        this.#pendingBytes -= message.length;
        if (this.#socket.isPaused && this.#pendingBytes < sendBufferBytesMax / 2) this.#socket.resume();
        yield message;
      } else if (this.#ended !== undefined) {
        if (this.#ended.error !== undefined) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }

  send(message: Uint8Array, kind: 'binary' | 'text' = 'binary'): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return true;
    this.#socket.send(message, { binary: kind === 'binary', compress: false }, () => {
      if (this.#socket.bufferedAmount < sendBufferBytesMax / 2) this.#release();
    });
    return this.#socket.bufferedAmount < sendBufferBytesMax;
  }

  drained(): Promise<void> {
    if (this.#ended !== undefined || this.#socket.bufferedAmount < sendBufferBytesMax) return Promise.resolve();
    return new Promise((resolve) => this.#room.push(resolve));
  }

  close(code: number, reason: string): void {
    // A peer that stops reading must still not keep the connection: ws gives it 30 s.
    this.#socket.resume();
    this.#socket.close(code, reason);
  }

  #release(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const resolve of waiting) resolve();
  }
}
