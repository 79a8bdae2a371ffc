/**
 * Calls services in the same process, with what a wire guarantees: deadlines, cancellation, metadata and identity travel as
 * data, streams have bounded windows, errors are RpcErrors. With `encode` every message is encoded and decoded on the way.
 */
import type { Clock } from '#std/clock.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type {
  Admission,
  BidiHandler,
  BoundService,
  CallOptions,
  Channel,
  ClientCall,
  ClientStreamHandler,
  Handler,
  Metadata,
  Peer,
  ServerStreamHandler,
  Sink,
  UnaryHandler,
} from './call.ts';
import { MessageQueue, RoomGate } from './message-queue.ts';
import type { InterceptedCall, Interceptor } from './server.ts';

export interface InMemoryOptions {
  readonly services: readonly BoundService[];
  readonly clock: Clock;
  readonly peer?: Peer;
  readonly interceptor?: Interceptor;
  /** Asked after the interceptor. Default: everything runs at once. */
  readonly admission?: Admission | undefined;
  /** Encode and decode every message, as a socket would. */
  readonly encode?: boolean;
}

/** Messages that one side may be ahead of the other. */
const windowMessages = 64;

export function connectInMemory(options: InMemoryOptions): Channel {
  const routes = new Map<string, Handler<Method> | undefined>();
  for (const { service, handlers } of options.services)
    for (const [name, method] of Object.entries(service.methods)) routes.set(method.path, handlers[name]);
  let closed = false;
  const calls = new Set<InMemoryCall<unknown, unknown>>();
  const open = <I, O>(method: Method<I, O>, callOptions: CallOptions = {}): ClientCall<I, O> => {
    const call = new InMemoryCall<I, O>(method, callOptions, options, routes.get(method.path), () =>
      calls.delete(call as InMemoryCall<unknown, unknown>),
    );
    if (closed) call.finish(new RpcError(Code.Canceled, 'grpc: the client connection is closing'));
    else calls.add(call as InMemoryCall<unknown, unknown>);
    return call;
  };
  return {
    open,
    async unary(method, request, callOptions) {
      const call = open(method, callOptions);
      call.send(request);
      call.closeSend();
      for await (const message of call.messages) return message;
      throw new RpcError(Code.Internal, 'no response message');
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const call of calls) call.cancel();
    },
  };
}

class InMemoryCall<I, O> implements ClientCall<I, O>, InterceptedCall {
  readonly peer: Peer;
  readonly metadata: Metadata;
  readonly deadlineMs: number | undefined;
  readonly #method: Method<I, O>;
  readonly #options: CallOptions;
  readonly #shared: InMemoryOptions;
  readonly #handler: Handler<Method> | undefined;
  readonly #requests = new MessageQueue<I>();
  readonly #responses = new MessageQueue<O>();
  readonly #requestRoom = new RoomGate();
  readonly #responseRoom = new RoomGate();
  #controller: AbortController | undefined;
  #endReason: RpcError | undefined;
  readonly #onEnd: () => void;
  #unsentRequests = 0;
  #unreadResponses = 0;
  #started = false;
  #admittedBytes = 0;
  #first: I | undefined;
  #trailers: Metadata = [];
  #deadline: Disposable | undefined;
  #ended = false;

  constructor(
    method: Method<I, O>,
    options: CallOptions,
    shared: InMemoryOptions,
    handler: Handler<Method> | undefined,
    onEnd: () => void,
  ) {
    this.#method = method;
    this.#options = options;
    this.#shared = shared;
    this.#handler = handler;
    this.#onEnd = onEnd;
    this.peer = shared.peer ?? { address: 'in-memory' };
    this.metadata = options.metadata ?? [];
    const { timeoutMs, signal } = options;
    this.deadlineMs = timeoutMs === undefined ? undefined : shared.clock.monotonicMs() + timeoutMs;
    if (timeoutMs !== undefined)
      this.#deadline = shared.clock.after(timeoutMs, () =>
        this.finish(new RpcError(Code.DeadlineExceeded, 'context deadline exceeded'), true),
      );
    if (signal?.aborted) this.finish(new RpcError(Code.Canceled, 'context canceled'), true);
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (method.kind === 'bidi' || method.kind === 'client-stream') this.#start(this.#requests);
  }

  readonly #onAbort = (): void => this.cancel();

  // The handler's side

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort(this.#reason());
    return this.#controller.signal;
  }

  sendHeader(metadata: Metadata): void {
    this.#options.onHeader?.(metadata);
  }

  setTrailer(metadata: Metadata): void {
    this.#trailers = [...this.#trailers, ...metadata];
  }

  end(error: RpcError): void {
    this.finish(error);
  }

  // The client's side

  get messages(): AsyncIterable<O> {
    return this.#responses;
  }

  closeSend(): void {
    if (this.#method.kind === 'bidi' || this.#method.kind === 'client-stream') this.#requests.end();
    else if (this.#first === undefined) this.finish(new RpcError(Code.Internal, 'no request message'));
    else if (!this.#started) this.#start(this.#first);
  }

  cancel(): void {
    this.finish(new RpcError(Code.Canceled, 'context canceled'), true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
  }

  send(message: I): boolean {
    return this.#sendRequest(message);
  }

  drained(): Promise<void> {
    if (!this.#ended && this.#unsentRequests < windowMessages) return Promise.resolve();
    return this.#requestRoom.wait();
  }

  /** @param drop also drop what was not read yet */
  finish(error: RpcError | undefined, drop = false): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline?.[Symbol.dispose]();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (this.#admittedBytes > 0) this.#shared.admission?.leave(this.peer, this.#admittedBytes);
    this.#onEnd();
    this.#endReason = error;
    if (this.#trailers.length > 0) this.#options.onTrailer?.(this.#trailers);
    if (drop) this.#responses.fail(this.#reason());
    else this.#responses.end(error);
    this.#controller?.abort(this.#reason());
    // A call of one request and one answer has nobody who waits: most end without anybody asking why.
    if (this.#method.kind === 'unary') return;
    this.#requests.fail(this.#reason());
    this.#requestRoom.fail(this.#reason());
    this.#responseRoom.fail(this.#reason());
  }

  /** What whoever still waits is told. */
  #reason(): RpcError {
    this.#endReason ??= new RpcError(Code.Canceled, 'context canceled');
    return this.#endReason;
  }

  #sendRequest(message: I): boolean {
    if (this.#ended) return true;
    const request = this.#shared.encode ? this.#method.request.decode(this.#method.request.encode(message)) : message;
    if (this.#method.kind === 'unary' || this.#method.kind === 'server-stream') {
      this.#first = request;
      return true;
    }
    this.#unsentRequests++;
    this.#requests.push(request, () => {
      this.#unsentRequests--;
      this.#requestRoom.open();
    });
    return this.#unsentRequests < windowMessages;
  }

  async #admit(input: I | AsyncIterable<I>): Promise<void> {
    const { admission } = this.#shared;
    if (admission === undefined || this.#method.kind === 'bidi' || this.#method.kind === 'client-stream') return;
    const bytes = await admission.enter(this.#method, input, this);
    if (this.#ended) admission.leave(this.peer, bytes);
    else this.#admittedBytes = bytes;
  }

  /** What the handler writes to. */
  #sink(): Sink<O> {
    return {
      send: (message) => {
        if (this.#ended) throw this.#reason();
        this.#unreadResponses++;
        this.#responses.push(
          this.#shared.encode ? this.#method.response.decode(this.#method.response.encode(message)) : message,
          () => {
            this.#unreadResponses--;
            this.#responseRoom.open();
          },
        );
        return this.#unreadResponses < windowMessages;
      },
      drained: () =>
        !this.#ended && this.#unreadResponses < windowMessages ? Promise.resolve() : this.#responseRoom.wait(),
    };
  }

  #start(input: I | AsyncIterable<I>): void {
    this.#started = true;
    // A callee never runs on its caller's stack.
    Promise.resolve()
      .then(async () => {
        if (this.#ended) return;
        if (this.#handler === undefined) {
          const slash = this.#method.path.lastIndexOf('/');
          throw new RpcError(
            Code.Unimplemented,
            `unknown method ${this.#method.path.slice(slash + 1)} for service ${this.#method.path.slice(1, slash)}`,
          );
        }
        await this.#shared.interceptor?.(this.#method, this);
        await this.#admit(input);
        if (this.#ended) return;
        const sink = this.#sink();
        switch (this.#method.kind) {
          case 'unary':
            sink.send(await (this.#handler as UnaryHandler<I, O>)(input as I, this));
            break;
          case 'client-stream':
            sink.send(await (this.#handler as unknown as ClientStreamHandler<I, O>)(input as AsyncIterable<I>, this));
            break;
          case 'server-stream':
            await (this.#handler as unknown as ServerStreamHandler<I, O>)(input as I, sink, this);
            break;
          case 'bidi':
            await (this.#handler as unknown as BidiHandler<I, O>)(input as AsyncIterable<I>, sink, this);
            break;
        }
        this.finish(undefined);
      })
      .catch((error: unknown) => this.finish(RpcError.from(error)));
  }
}
