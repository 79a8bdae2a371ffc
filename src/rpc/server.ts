/**
 * Serves bound services over HTTP/2: turns a stream into a call and a handler's outcome into trailers. It owns no socket:
 * `createDispatcher` gives a function that a listener asks for each new stream. gRPC over HTTP/2 (PROTOCOL-HTTP2.md).
 */
import type { Clock } from '#std/clock.ts';
import { frameMessage, MessageReader, prefixBytes } from '#wire/grpc/framing.ts';
import { encodeMessage, metadataHeaders, metadataOf, parseTimeout } from '#wire/grpc/header.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Header } from '#wire/hpack/decoder.ts';
import { encodeHeaders } from '#wire/hpack/encoder.ts';
import type { Http2Stream, StreamHandler } from '#wire/http2/connection.ts';
import { ErrorCode } from '#wire/http2/frame.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import type {
  Admission,
  BidiHandler,
  BoundService,
  CallContext,
  ClientStreamHandler,
  Handler,
  Metadata,
  Peer,
  ServerStreamHandler,
  Sink,
  UnaryHandler,
} from './call.ts';
import { MessageQueue, ReceiveCredit, RoomGate } from './message-queue.ts';

/** A call, to whoever may end it besides its handler and its caller. */
export interface InterceptedCall extends CallContext {
  /** Ends the call with this status, unless it has ended already. Its handler is told by its signal, its requests and its sink. */
  end(error: RpcError): void;
}

/** What runs before a handler: throws to refuse the call. */
export type Interceptor = (method: Method, call: InterceptedCall) => void | Promise<void>;

export interface DispatcherOptions {
  readonly services: readonly BoundService[];
  readonly clock: Clock;
  readonly interceptor?: Interceptor;
  /** Asked after the interceptor. Default: everything runs at once. */
  readonly admission?: Admission | undefined;
  /** Largest request message. Default 4 MiB, as grpc-go's. */
  readonly messageBytesMax?: number;
}

/** Takes a stream when it is a gRPC call; undefined leaves it to whoever serves HTTP on the same port. */
export type RpcDispatcher = (
  stream: Http2Stream,
  headers: readonly Header[],
  endStream: boolean,
  peer: Peer,
) => StreamHandler | undefined;

interface Route {
  readonly method: Method;
  readonly handler: Handler<Method> | undefined;
}

const responseHeaders = encodeHeaders([
  [':status', '200'],
  ['content-type', 'application/grpc'],
]);
const okTrailers = encodeHeaders([
  ['grpc-status', '0'],
  ['grpc-message', ''],
]);
/** Bytes of a response stream that may wait for the peer's window before `send` says stop. */
const sendBufferBytesMax = 256 << 10;
const messageBytesMaxDefault = 4 << 20;

export function createDispatcher({
  services,
  clock,
  interceptor,
  admission,
  messageBytesMax = messageBytesMaxDefault,
}: DispatcherOptions): RpcDispatcher {
  const routes = new Map<string, Route>();
  const serviceNames = new Set<string>();
  for (const { service, handlers } of services) {
    serviceNames.add(service.typeName);
    for (const [name, method] of Object.entries(service.methods))
      routes.set(method.path, { method, handler: handlers[name] });
  }
  return (stream, headers, endStream, peer) => {
    let contentType = '';
    let path = '';
    let timeout: string | undefined;
    for (const [name, value] of headers) {
      if (name === 'content-type') contentType = value;
      else if (name === ':path') path = value;
      else if (name === 'grpc-timeout') timeout = value;
    }
    if (!/^application\/grpc(?:\+proto)?(?:$|;)/.test(contentType)) return undefined;
    const route = routes.get(path);
    if (route?.handler === undefined) {
      refuse(stream, unimplemented(path, serviceNames, route !== undefined));
      return ignore(stream);
    }
    const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
    const call = new ServerCall({
      stream,
      route: { method: route.method, handler: route.handler },
      headers,
      peer,
      clock,
      timeoutMs,
      messageBytesMax,
      interceptor,
      admission,
    });
    if (endStream) call.data(Buffer.alloc(0), true);
    return call;
  };
}

function unimplemented(path: string, serviceNames: ReadonlySet<string>, methodKnown: boolean): RpcError {
  const slash = path.lastIndexOf('/');
  const service = path.slice(1, slash);
  const method = path.slice(slash + 1);
  if (slash <= 0) return new RpcError(Code.Unimplemented, `malformed method name: ${JSON.stringify(path)}`);
  if (methodKnown) return new RpcError(Code.Unimplemented, `method ${method} not implemented`);
  if (serviceNames.has(service))
    return new RpcError(Code.Unimplemented, `unknown method ${method} for service ${service}`);
  return new RpcError(Code.Unimplemented, `unknown service ${service}`);
}

/** Trailers-only: a call that never had a response. */
function refuse(stream: Http2Stream, error: RpcError): void {
  stream.sendHeaders(
    encodeHeaders([[':status', '200'], ['content-type', 'application/grpc'], ...statusHeaders(error)]),
    true,
  );
}

function statusHeaders({ code, message, details }: RpcError): Header[] {
  const headers: Header[] = [
    ['grpc-status', String(code)],
    ['grpc-message', encodeMessage(message)],
  ];
  if (details !== undefined) headers.push(...metadataHeaders([['grpc-status-details-bin', details]]));
  return headers;
}

function ignore(stream: Http2Stream): StreamHandler {
  return {
    headers() {},
    data: (chunk) => stream.consume(chunk.length),
    reset() {},
    writable() {},
  };
}

interface ServerCallOptions {
  readonly stream: Http2Stream;
  readonly route: { readonly method: Method; readonly handler: Handler<Method> };
  readonly headers: readonly Header[];
  readonly peer: Peer;
  readonly clock: Clock;
  readonly timeoutMs: number | undefined;
  readonly messageBytesMax: number;
  readonly interceptor: Interceptor | undefined;
  readonly admission: Admission | undefined;
}

class ServerCall implements StreamHandler, InterceptedCall, Sink<unknown> {
  readonly encodesAnswers = true;
  readonly peer: Peer;
  readonly deadlineMs: number | undefined;
  readonly #options: ServerCallOptions;
  readonly #reader: MessageReader;
  readonly #incoming: MessageQueue<unknown> | undefined;
  readonly #room = new RoomGate();
  readonly #credit: ReceiveCredit;
  #metadata: Metadata | undefined;
  #controller: AbortController | undefined;
  #deadline: Disposable | undefined;
  #abortReason: RpcError | undefined;
  #unaryRequest: Buffer | undefined;
  #admittedBytes = 0;
  #headersSent = false;
  #ownHeaders: Header[] = [];
  #trailers: Header[] = [];
  #ended = false;

  constructor(options: ServerCallOptions) {
    this.#options = options;
    this.peer = options.peer;
    this.#reader = new MessageReader(options.messageBytesMax);
    this.#credit = new ReceiveCredit((bytes) => options.stream.consume(bytes));
    const { clock, timeoutMs, route } = options;
    this.deadlineMs = timeoutMs === undefined ? undefined : clock.monotonicMs() + timeoutMs;
    if (timeoutMs !== undefined)
      this.#deadline = clock.after(timeoutMs, () =>
        this.#end(new RpcError(Code.DeadlineExceeded, 'context deadline exceeded')),
      );
    const { kind } = route.method;
    if (kind === 'client-stream' || kind === 'bidi') {
      this.#incoming = new MessageQueue();
      this.#start(this.#incoming);
    }
  }

  get metadata(): Metadata {
    this.#metadata ??= metadataOf(this.#options.headers);
    return this.#metadata;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort(this.#reason());
    return this.#controller.signal;
  }

  sendHeader(metadata: Metadata): void {
    this.#ownHeaders.push(...metadataHeaders(metadata));
    this.#sendHeaders();
  }

  setTrailer(metadata: Metadata): void {
    this.#trailers.push(...metadataHeaders(metadata));
  }

  end(error: RpcError): void {
    this.#end(error);
  }

  // Sink

  send(message: unknown): boolean {
    if (this.#ended) throw this.#reason();
    this.#sendHeaders();
    const { stream, route } = this.#options;
    stream.send(frameMessage(route.method.response, message), false);
    return stream.bufferedBytes < sendBufferBytesMax;
  }

  drained(): Promise<void> {
    if (!this.#ended && this.#options.stream.bufferedBytes < sendBufferBytesMax) return Promise.resolve();
    return this.#room.wait();
  }

  // StreamHandler

  headers(): void {
    this.#end(new RpcError(Code.Internal, 'trailers in a request'));
  }

  data(chunk: Buffer, endStream: boolean): void {
    if (this.#ended) {
      this.#options.stream.consume(chunk.length);
      return;
    }
    this.#credit.arrived(chunk.length);
    try {
      this.#reader.push(chunk, (message) => this.#message(message));
      if (!endStream) return;
      if (this.#reader.partial) throw new RpcError(Code.Internal, 'unexpected EOF');
      this.#endOfRequests();
    } catch (error) {
      this.#incoming?.fail(error);
      this.#end(
        error instanceof ProtobufError
          ? new RpcError(Code.Internal, `grpc: error unmarshalling request: ${error.message}`)
          : RpcError.from(error),
      );
    }
  }

  reset(_code: number, message: string): void {
    const reason = new RpcError(Code.Canceled, 'context canceled', { cause: new Error(message) });
    this.#incoming?.fail(reason);
    this.#abort(reason);
  }

  writable(): void {
    this.#room.open();
  }

  #message(bytes: Buffer): void {
    const { route } = this.#options;
    if (this.#incoming !== undefined) {
      // The input buffer is the socket's: what is read later must be a copy.
      this.#incoming.push(
        route.method.request.decode(Buffer.from(bytes)),
        this.#credit.hold(bytes.length + prefixBytes),
      );
      return;
    }
    if (this.#unaryRequest !== undefined) throw new RpcError(Code.Internal, 'more than one request message');
    this.#unaryRequest = bytes;
  }

  #endOfRequests(): void {
    if (this.#incoming !== undefined) {
      this.#incoming.end();
      return;
    }
    if (this.#unaryRequest === undefined) throw new RpcError(Code.Internal, 'no request message');
    this.#start(this.#options.route.method.request.decode(this.#unaryRequest));
  }

  #start(input: unknown): void {
    const { interceptor, route } = this.#options;
    try {
      const allowed = interceptor?.(route.method, this);
      if (allowed instanceof Promise) {
        const kept = this.#keep(input);
        allowed.then(() => this.#admit(kept)).catch((error: unknown) => this.#end(RpcError.from(error)));
      } else this.#admit(input);
    } catch (error) {
      this.#end(RpcError.from(error));
    }
  }

  #admit(input: unknown): void {
    const { admission, route } = this.#options;
    if (admission === undefined || this.#incoming !== undefined) {
      this.#run(input);
      return;
    }
    const entered = admission.enter(route.method, input, this);
    if (typeof entered === 'number') {
      this.#admittedBytes = entered;
      this.#run(input);
      return;
    }
    const kept = this.#keep(input);
    entered
      .then((bytes) => {
        if (this.#ended) {
          admission.leave(this.peer, bytes);
          return;
        }
        this.#admittedBytes = bytes;
        this.#run(kept);
      })
      .catch((error: unknown) => this.#end(RpcError.from(error)));
  }

  /** The request is a view of the socket's buffer: one that waits must last. */
  #keep(input: unknown): unknown {
    if (this.#unaryRequest === undefined) return input;
    const bytes = Buffer.from(this.#unaryRequest);
    this.#unaryRequest = undefined;
    return this.#options.route.method.request.decode(bytes);
  }

  #run(input: unknown): void {
    const { handler, method } = this.#options.route;
    switch (method.kind) {
      case 'unary': {
        const result = (handler as UnaryHandler<unknown, unknown>)(input, this);
        if (result instanceof Promise)
          result.then((message) => this.#reply(message)).catch((error: unknown) => this.#end(RpcError.from(error)));
        else this.#reply(result);
        return;
      }
      case 'client-stream':
        (handler as ClientStreamHandler<unknown, unknown>)(input as AsyncIterable<unknown>, this)
          .then((message) => this.#reply(message))
          .catch((error: unknown) => this.#end(RpcError.from(error)));
        return;
      case 'server-stream':
        (handler as ServerStreamHandler<unknown, unknown>)(input, this, this)
          .then(() => this.#end())
          .catch((error: unknown) => this.#end(RpcError.from(error)));
        return;
      case 'bidi':
        (handler as BidiHandler<unknown, unknown>)(input as AsyncIterable<unknown>, this, this)
          .then(() => this.#end())
          .catch((error: unknown) => this.#end(RpcError.from(error)));
        return;
    }
  }

  #reply(message: unknown): void {
    if (this.#ended) return;
    this.send(message);
    this.#end();
  }

  #sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    const block =
      this.#ownHeaders.length === 0
        ? responseHeaders
        : encodeHeaders([[':status', '200'], ['content-type', 'application/grpc'], ...this.#ownHeaders]);
    this.#options.stream.sendHeaders(block, false);
  }

  #end(error?: RpcError): void {
    if (this.#ended) return;
    const { stream } = this.#options;
    if (error === undefined) {
      this.#sendHeaders();
      stream.sendHeaders(
        this.#trailers.length === 0
          ? okTrailers
          : encodeHeaders([['grpc-status', '0'], ['grpc-message', ''], ...this.#trailers]),
        true,
      );
    } else if (this.#headersSent) stream.sendHeaders(encodeHeaders([...statusHeaders(error), ...this.#trailers]), true);
    else
      stream.sendHeaders(
        encodeHeaders([
          [':status', '200'],
          ['content-type', 'application/grpc'],
          ...statusHeaders(error),
          ...this.#trailers,
        ]),
        true,
      );
    // Requests that still come are not wanted.
    if (!stream.remoteClosed) stream.reset(ErrorCode.noError);
    this.#abort(error);
    this.#incoming?.fail(this.#reason());
  }

  /** @param reason left out when the call ended well */
  #abort(reason?: RpcError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#abortReason = reason;
    this.#deadline?.[Symbol.dispose]();
    if (this.#admittedBytes > 0) this.#options.admission?.leave(this.peer, this.#admittedBytes);
    this.#controller?.abort(this.#reason());
    // Nobody waits for room to send a single answer: most calls end without anybody asking why.
    if (this.#options.route.method.kind !== 'unary') this.#room.fail(this.#reason());
  }

  /** What whoever still waits is told. */
  #reason(): RpcError {
    this.#abortReason ??= new RpcError(Code.Canceled, 'context canceled');
    return this.#abortReason;
  }
}
