/**
 * The seam between services and what carries them. Handlers are plain functions over decoded messages; a `Channel` is how a
 * client reaches them. The same handlers serve a gRPC socket (`server.ts`), a ttrpc socket and the in-memory transport
 * (`in-memory.ts`), and a caller cannot tell which: deadline, cancellation, metadata and identity travel as data, errors
 * are `RpcError`, streams have bounded windows.
 */
import type { Method, Service } from '#wire/grpc/service.ts';

/** Lower-case names; a name may repeat. Names that end in `-bin` carry bytes in base64 on the wire. */
export type Metadata = readonly (readonly [name: string, value: string | Uint8Array])[];

/** Who is calling, as the transport proved it. */
export interface Peer {
  /** `ip:port`, a unix socket's path, or `in-memory`. */
  readonly address: string;
  /** Common name and organisations of a verified client certificate. */
  readonly certificate?: { readonly commonName: string; readonly organizations: readonly string[] };
  /** A caller in this process: the component's user and groups. */
  readonly component?: { readonly user: string; readonly groups: readonly string[] };
}

export interface CallContext {
  readonly peer: Peer;
  readonly metadata: Metadata;
  /** Aborts with an RpcError when the caller cancels, the deadline passes or the transport goes away. */
  readonly signal: AbortSignal;
  /** Milliseconds on the server's monotonic clock, when the caller gave a timeout. */
  readonly deadlineMs: number | undefined;
  /**
   * Answers are encoded as they are given, and nobody in this process ever sees them: they may have messages in them that are no plain objects
   * (`#wire/protobuf/encoded.ts`).
   */
  readonly encodesAnswers?: boolean;
  /** Sent before the first message (at most once). */
  sendHeader(metadata: Metadata): void;
  /** Sent with the status. */
  setTrailer(metadata: Metadata): void;
}

/** Where a handler writes a stream's messages. */
export interface Sink<O> {
  /** Hands a message to the transport. False: the peer's window is full; `await drained()` before the next one. */
  send(message: O): boolean;
  /** Resolves when there is room again. Rejects when the call has ended. */
  drained(): Promise<void>;
}

export type UnaryHandler<I, O> = (request: I, context: CallContext) => O | Promise<O>;
export type ServerStreamHandler<I, O> = (request: I, sink: Sink<O>, context: CallContext) => Promise<void>;
export type ClientStreamHandler<I, O> = (requests: AsyncIterable<I>, context: CallContext) => Promise<O>;
export type BidiHandler<I, O> = (requests: AsyncIterable<I>, sink: Sink<O>, context: CallContext) => Promise<void>;

export type Handler<M extends Method> =
  M extends Method<infer I, infer O, infer K>
    ? K extends 'unary'
      ? UnaryHandler<I, O>
      : K extends 'server-stream'
        ? ServerStreamHandler<I, O>
        : K extends 'client-stream'
          ? ClientStreamHandler<I, O>
          : BidiHandler<I, O>
    : never;

/** Handlers of a service. A method left out answers Unimplemented, as grpc-go's unimplemented servers do. */
export type Handlers<S extends Service> = { readonly [N in keyof S['methods']]?: Handler<S['methods'][N]> };

/** A service bound to its handlers; what servers take. Made by {@link bind}. */
export interface BoundService {
  readonly service: Service;
  readonly handlers: Readonly<Record<string, Handler<Method> | undefined>>;
}

export function bind<S extends Service>(service: S, handlers: Handlers<S>): BoundService {
  return { service, handlers: handlers as BoundService['handlers'] };
}

/**
 * Lets calls in as there is memory for them. It is asked about each call with one request, when that is there and before the handler sees it.
 */
export interface Admission {
  /**
   * Takes what the call may need, at once or when it is its turn. The request is not to be kept.
   * @returns bytes that {@link leave} gives back when the call has ended; 0 for a call that is not counted
   * @throws RpcError for a call that is refused, now or in the promise; also when it has ended while it waited
   */
  enter(method: Method, request: unknown, context: CallContext): number | Promise<number>;
  leave(peer: Peer, bytes: number): void;
}

export interface CallOptions {
  readonly metadata?: Metadata;
  readonly signal?: AbortSignal;
  /** The deadline, counted from now; none by default. */
  readonly timeoutMs?: number;
  readonly onHeader?: (metadata: Metadata) => void;
  readonly onTrailer?: (metadata: Metadata) => void;
}

/** The client's end of a stream. Iterating `messages` ends at status OK and throws RpcError otherwise. */
export interface ClientCall<I, O> extends AsyncDisposable {
  /** As {@link Sink.send}. */
  send(message: I): boolean;
  drained(): Promise<void>;
  /** Half-close: no more messages from this side. */
  closeSend(): void;
  readonly messages: AsyncIterable<O>;
  /** Ends the call with Canceled. */
  cancel(): void;
}

/** A way to reach services. Everything rejects with RpcError. */
export interface Channel extends AsyncDisposable {
  unary<I, O>(method: Method<I, O, 'unary'>, request: I, options?: CallOptions): Promise<O>;
  /** Opens a stream of any kind; `unary` is the shorthand for the common case. */
  open<I, O>(method: Method<I, O>, options?: CallOptions): ClientCall<I, O>;
}
