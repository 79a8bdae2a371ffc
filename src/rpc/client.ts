/**
 * Calls services over a socket: one HTTP/2 connection, made when first needed and made again, with growing pauses, after it
 * was lost. Of several servers one is used at a time, the next one when it is lost. Error texts are grpc-go's.
 */
import type { Clock } from '#std/clock.ts';
import { type DialTarget, dial } from '#transport/dial.ts';
import { joinSocket } from '#transport/http2-socket.ts';
import { frameMessage, MessageReader, prefixBytes } from '#wire/grpc/framing.ts';
import { decodeMessage, formatTimeout, metadataHeaders, metadataOf } from '#wire/grpc/header.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Header } from '#wire/hpack/decoder.ts';
import type { Http2Connection, Http2Stream, StreamHandler } from '#wire/http2/connection.ts';
import { ErrorCode } from '#wire/http2/frame.ts';
import type { CallOptions, Channel, ClientCall } from './call.ts';
import { MessageQueue, ReceiveCredit, RoomGate } from './message-queue.ts';

export interface RpcClientOptions {
  readonly target: DialTarget;
  /** Servers that do as well: tried in turn when a connection is lost or does not come to be. */
  readonly alternatives?: readonly DialTarget[];
  /** Finds out that a server is gone, or asleep, which has not closed the connection: a ping after this silence, the end after that. */
  readonly keepAlive?: { readonly timeMs: number; readonly timeoutMs: number };
  /** For one server to take the connection. Default 20 seconds, grpc-go's. */
  readonly connectTimeoutMs?: number;
  readonly clock: Clock;
  /** Largest response message. Default: no limit but memory, as etcd's and CRI's clients set it. */
  readonly messageBytesMax?: number;
  readonly userAgent?: string;
}

const connectTimeoutMsDefault = 20_000;
const backoffInitialMs = 1000;
const backoffMaxMs = 30_000;
const sendBufferBytesMax = 256 << 10;

export function connectRpc(options: RpcClientOptions): Channel {
  return new SocketChannel(options);
}

interface Connected {
  readonly http2: Http2Connection;
  readonly target: DialTarget;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly connecting: Promise<Connected> }
  | { readonly kind: 'ready'; readonly connection: Connected }
  | { readonly kind: 'failed'; readonly error: RpcError; readonly untilMs: number }
  | { readonly kind: 'closed' };

class SocketChannel implements Channel {
  readonly #options: RpcClientOptions;
  #state: State = { kind: 'idle' };
  #failures = 0;
  readonly #targets: readonly DialTarget[];
  readonly #closing = new AbortController();
  /** Also those that a server has said goodbye on, while calls are on them. */
  readonly #sockets = new Set<Awaited<ReturnType<typeof dial>>>();
  /** The one to try first. */
  #next = 0;

  constructor(options: RpcClientOptions) {
    this.#options = options;
    this.#targets = [options.target, ...(options.alternatives ?? [])];
  }

  async unary<I, O>(method: Method<I, O, 'unary'>, request: I, options: CallOptions = {}): Promise<O> {
    const call = this.open(method, options);
    call.send(request);
    call.closeSend();
    let response: O | undefined;
    for await (const message of call.messages) response = message;
    if (response === undefined) throw new RpcError(Code.Internal, 'no response message');
    return response;
  }

  open<I, O>(method: Method<I, O>, options: CallOptions = {}): ClientCall<I, O> {
    const call = new SocketCall<I, O>(method, options, this.#options);
    const state = this.#state;
    if (state.kind === 'ready' && !state.connection.http2.closed) call.begin(state.connection);
    else
      this.#connection().then(
        (connection) => call.begin(connection),
        (error: unknown) => call.fail(RpcError.from(error)),
      );
    return call;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    this.#closing.abort();
    for (const socket of this.#sockets) socket.destroy();
    if (state.kind === 'connecting') await state.connecting.catch(() => {});
  }

  #connection(): Promise<Connected> {
    const state = this.#state;
    switch (state.kind) {
      case 'closed':
        return Promise.reject(closingError());
      case 'connecting':
        return state.connecting;
      case 'failed':
        if (this.#options.clock.monotonicMs() < state.untilMs) return Promise.reject(state.error);
        break;
      case 'ready':
        if (!state.connection.http2.closed) return Promise.resolve(state.connection);
        break;
      case 'idle':
        break;
    }
    const connecting = this.#connect();
    this.#state = { kind: 'connecting', connecting };
    return connecting;
  }

  async #connect(): Promise<Connected> {
    const { clock } = this.#options;
    let last: unknown;
    for (let tried = 0; tried < this.#targets.length; tried++) {
      const target = this.#targets[this.#next]!;
      // Whatever becomes of this connection, the one after it goes elsewhere first.
      this.#next = (this.#next + 1) % this.#targets.length;
      try {
        return await this.#connectTo(target);
      } catch (error) {
        if (this.#isClosed()) throw closingError();
        last = error;
      }
    }
    const described = new RpcError(
      Code.Unavailable,
      `connection error: desc = "transport: Error while dialing: ${(last as Error).message}"`,
      { cause: last },
    );
    const delayMs = Math.min(backoffMaxMs, backoffInitialMs * 1.6 ** this.#failures++);
    this.#state = { kind: 'failed', error: described, untilMs: clock.monotonicMs() + delayMs };
    throw described;
  }

  async #connectTo(target: DialTarget): Promise<Connected> {
    const { clock, keepAlive, connectTimeoutMs = connectTimeoutMsDefault } = this.#options;
    const socket = await dial(target, {
      protocols: ['h2'],
      timeoutMs: connectTimeoutMs,
      signal: this.#closing.signal,
    });
    if (this.#isClosed()) {
      socket.destroy();
      throw closingError();
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const http2 = joinSocket(socket, {
      role: 'client',
      onGoaway: () => {
        if (this.#state.kind === 'ready' && this.#state.connection.http2 === http2) this.#state = { kind: 'idle' };
      },
    });
    if (keepAlive !== undefined) watchSilence(socket, http2, keepAlive, clock);
    const connection = { http2, target };
    this.#failures = 0;
    this.#state = { kind: 'ready', connection };
    return connection;
  }

  #isClosed(): boolean {
    return this.#state.kind === 'closed';
  }
}

function closingError(): RpcError {
  return new RpcError(Code.Canceled, 'grpc: the client connection is closing');
}

/** Ends a connection on which calls wait and nothing arrives, not even the answer to a ping. */
function watchSilence(
  socket: Awaited<ReturnType<typeof dial>>,
  http2: Http2Connection,
  { timeMs, timeoutMs }: NonNullable<RpcClientOptions['keepAlive']>,
  clock: Clock,
): void {
  let heardMs = clock.monotonicMs();
  let asked = false;
  socket.on('data', () => {
    heardMs = clock.monotonicMs();
    asked = false;
  });
  const look = () => {
    if (asked && clock.monotonicMs() - heardMs >= timeoutMs) {
      socket.destroy(new Error('keepalive ping failed to receive ACK within timeout'));
      return;
    }
    asked = http2.streams.size > 0 && clock.monotonicMs() - heardMs >= timeMs;
    if (asked) http2.ping(Buffer.alloc(8));
    timer = clock.after(asked ? timeoutMs : timeMs, look);
  };
  let timer = clock.after(timeMs, look);
  socket.on('close', () => timer[Symbol.dispose]());
}

class SocketCall<I, O> implements ClientCall<I, O>, StreamHandler {
  readonly #method: Method<I, O>;
  readonly #options: CallOptions;
  readonly #reader: MessageReader;
  readonly #received = new MessageQueue<O>();
  readonly #room = new RoomGate();
  readonly #credit = new ReceiveCredit((bytes) => this.#stream!.consume(bytes));
  readonly #client: RpcClientOptions;
  /** What was sent before the connection stood. */
  #early: { message?: I; end?: true }[] = [];
  #stream: Http2Stream | undefined;
  #deadline: Disposable | undefined;
  #onAbort: (() => void) | undefined;
  #sawHeaders = false;
  #ended = false;

  constructor(method: Method<I, O>, options: CallOptions, client: RpcClientOptions) {
    this.#method = method;
    this.#options = options;
    this.#client = client;
    this.#reader = new MessageReader(client.messageBytesMax ?? 2 ** 31 - 1);
    if (options.timeoutMs !== undefined)
      this.#deadline = client.clock.after(options.timeoutMs, () =>
        this.#abandon(new RpcError(Code.DeadlineExceeded, 'context deadline exceeded')),
      );
    const { signal } = options;
    if (signal !== undefined) {
      this.#onAbort = () => this.cancel();
      signal.addEventListener('abort', this.#onAbort, { once: true });
      if (signal.aborted) this.cancel();
    }
  }

  get messages(): AsyncIterable<O> {
    return this.#received;
  }

  begin({ http2, target }: Connected): void {
    if (this.#ended) return;
    const { metadata = [], timeoutMs } = this.#options;
    const { userAgent = 'wherry' } = this.#client;
    const headers: Header[] = [
      [':method', 'POST'],
      [':scheme', target.tls === undefined ? 'http' : 'https'],
      [':path', this.#method.path],
      [':authority', target.authority],
      ['content-type', 'application/grpc'],
      ['user-agent', userAgent],
      ['te', 'trailers'],
      ...(timeoutMs === undefined ? [] : [['grpc-timeout', formatTimeout(timeoutMs)] as const]),
      ...metadataHeaders(metadata),
    ];
    this.#stream = http2.open(headers, false, this);
    if (this.#stream === undefined) {
      this.fail(new RpcError(Code.Unavailable, 'the connection takes no more streams'));
      return;
    }
    for (const { message, end } of this.#early.splice(0)) {
      if (message !== undefined) this.#stream.send(frameMessage(this.#method.request, message), false);
      if (end) this.#stream.send(Buffer.alloc(0), true);
    }
    if (this.#stream.bufferedBytes < sendBufferBytesMax) this.#room.open();
  }

  send(message: I): boolean {
    if (this.#ended) return true;
    if (this.#stream === undefined) {
      this.#early.push({ message });
      return this.#early.length < 16;
    }
    this.#stream.send(frameMessage(this.#method.request, message), false);
    return this.#stream.bufferedBytes < sendBufferBytesMax;
  }

  drained(): Promise<void> {
    if (!this.#ended && this.#stream !== undefined && this.#stream.bufferedBytes < sendBufferBytesMax)
      return Promise.resolve();
    return this.#room.wait();
  }

  closeSend(): void {
    if (this.#ended) return;
    if (this.#stream === undefined) this.#early.push({ end: true });
    else this.#stream.send(Buffer.alloc(0), true);
  }

  cancel(): void {
    this.#abandon(new RpcError(Code.Canceled, 'context canceled'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
  }

  /** The call ends with an error that the server did not send. */
  fail(error: RpcError): void {
    if (this.#ended) return;
    this.#finish();
    this.#received.end(error);
    this.#room.fail(error);
  }

  // StreamHandler

  headers(headers: readonly Header[], endStream: boolean): void {
    if (endStream) {
      this.#trailers(headers);
      return;
    }
    if (this.#sawHeaders) return;
    this.#sawHeaders = true;
    const status = headers.find(([name]) => name === ':status')?.[1];
    const contentType = headers.find(([name]) => name === 'content-type')?.[1] ?? '';
    if (status !== '200' || !contentType.startsWith('application/grpc')) {
      this.#abandon(
        new RpcError(
          httpCode(status),
          `unexpected HTTP status code received from server: ${status}; transport: received unexpected content-type "${contentType}"`,
        ),
      );
      return;
    }
    this.#options.onHeader?.(metadataOf(headers));
  }

  data(chunk: Buffer, endStream: boolean): void {
    const stream = this.#stream!;
    if (this.#ended) {
      stream.consume(chunk.length);
      return;
    }
    this.#credit.arrived(chunk.length);
    try {
      this.#reader.push(chunk, (message) => {
        // The input buffer is the socket's: messages are read later.
        this.#received.push(
          this.#method.response.decode(Buffer.from(message)),
          this.#credit.hold(message.length + prefixBytes),
        );
      });
    } catch (error) {
      this.#abandon(RpcError.from(error));
      return;
    }
    if (endStream) this.fail(new RpcError(Code.Internal, 'server closed the stream without sending trailers'));
  }

  reset(code: number, message: string): void {
    if (code === ErrorCode.refusedStream)
      this.fail(new RpcError(Code.Unavailable, `stream terminated by RST_STREAM with error code: REFUSED_STREAM`));
    else if (code === ErrorCode.cancel && message !== 'stream reset by peer')
      this.fail(new RpcError(Code.Unavailable, `error reading from server: ${message}`));
    else
      this.fail(
        new RpcError(
          code === ErrorCode.cancel ? Code.Canceled : Code.Internal,
          `stream terminated by RST_STREAM with error code: ${code}`,
        ),
      );
  }

  writable(): void {
    this.#room.open();
  }

  #trailers(headers: readonly Header[]): void {
    let code: number | undefined;
    let message = '';
    let details: Uint8Array | undefined;
    for (const [name, value] of headers) {
      if (name === 'grpc-status') code = Number(value);
      else if (name === 'grpc-message') message = decodeMessage(value);
      else if (name === 'grpc-status-details-bin') details = Buffer.from(value, 'base64');
    }
    if (code === undefined) {
      const status = headers.find(([name]) => name === ':status')?.[1];
      this.fail(new RpcError(httpCode(status), `unexpected HTTP status code received from server: ${status}`));
      return;
    }
    this.#options.onTrailer?.(metadataOf(headers));
    if (code !== Code.OK) {
      this.fail(new RpcError(code as Code, message, details === undefined ? {} : { details }));
      return;
    }
    if (this.#ended) return;
    this.#finish();
    this.#received.end();
    this.#room.fail(new RpcError(Code.Unknown, 'EOF'));
  }

  /** Ends the call from this side: what has arrived and was not read is dropped. */
  #abandon(error: RpcError): void {
    if (this.#ended) return;
    this.#finish();
    this.#stream?.reset(ErrorCode.cancel);
    this.#received.fail(error);
    this.#room.fail(error);
  }

  #finish(): void {
    this.#ended = true;
    this.#deadline?.[Symbol.dispose]();
    if (this.#onAbort !== undefined) this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }
}

/** How an HTTP status that is no gRPC answer is read (grpc's http-grpc-status-mapping). */
function httpCode(status: string | undefined): Code {
  switch (status) {
    case '400':
      return Code.Internal;
    case '401':
      return Code.Unauthenticated;
    case '403':
      return Code.PermissionDenied;
    case '404':
      return Code.Unimplemented;
    case '429':
    case '502':
    case '503':
    case '504':
      return Code.Unavailable;
    default:
      return Code.Unknown;
  }
}
