/**
 * The end of a stream that writes. The peer dials in and asks for the stream; from then on messages go out on it, all those of a turn in
 * one write, until the peer goes away or asks for a new one. While the socket has enough, messages wait unencoded, bounded in number and bytes.
 */
import type { Message } from '#api-etcd/gen/raft.ts';
import type { Timer } from '#std/clock.ts';
import type { BodySink, BodySource } from '#transport/http.ts';
import { FrameBatch } from './codec/frame-batch.ts';
import { encodeMessage, linkHeartbeat } from './codec/message-stream.ts';
import { MsgAppEncoder } from './codec/msgapp-stream.ts';
import { hexId, ioTimeoutMs, type PeerContext } from './context.ts';
import type { PeerPart } from './peer-part.ts';
import type { Failure, PeerStatus } from './peer-status.ts';
import type { PeerTraffic } from './traffic.ts';

export type StreamKind = 'msgapp' | 'message';

/** Messages that wait for the socket, as upstream's buffer. */
export const streamMessagesMax = 4096;
/** Of their entries' data, which they keep from being freed. One message is taken whatever it weighs. */
export const streamBytesMax = 64 << 20;
/** So that the other end, which gives up after {@link ioTimeoutMs} of silence, does not. */
const heartbeatMs = ioTimeoutMs / 3;
/** Encoded at once; then the socket is asked whether it has enough. */
const batchBytesMax = 256 << 10;

/** A connection that the peer reads from. */
interface Connection {
  readonly sink: BodySink;
  readonly encode: (message: Message, batch: FrameBatch) => void;
  /** Since when it has enough; undefined while there is room. */
  fullSinceMs: number | undefined;
  timer: Timer;
}

export class StreamWriter implements Disposable {
  readonly #kind: StreamKind;
  readonly #peerId: bigint;
  readonly #context: PeerContext;
  readonly #status: PeerStatus;
  readonly #traffic: PeerTraffic;
  readonly #batch = new FrameBatch();
  #connection: Connection | undefined;
  #waiting: Message[] = [];
  #head = 0;
  #waitingBytes = 0;

  constructor(options: Omit<PeerPart, 'link'> & { readonly kind: StreamKind }) {
    this.#kind = options.kind;
    this.#peerId = options.peerId;
    this.#context = options.context;
    this.#status = options.status;
    this.#traffic = options.context.traffic.of(options.peerId);
  }

  /** Whether there is somebody to write to. */
  get working(): boolean {
    return this.#connection !== undefined;
  }

  /** Takes a message for the next {@link flush}; false when there are too many. */
  offer(message: Message): boolean {
    const count = this.#waiting.length - this.#head;
    const bytes = dataBytes(message);
    if (count >= streamMessagesMax || (count > 0 && this.#waitingBytes + bytes > streamBytesMax)) return false;
    this.#waiting.push(message);
    this.#waitingBytes += bytes;
    return true;
  }

  /** Writes what waits, as far as there is room. */
  flush(): void {
    const connection = this.#connection;
    if (connection === undefined || connection.fullSinceMs !== undefined) return;
    const batch = this.#batch;
    while (this.#head < this.#waiting.length) {
      while (this.#head < this.#waiting.length && batch.bytes < batchBytesMax) {
        const message = this.#waiting[this.#head++]!;
        connection.encode(message, batch);
        this.#waitingBytes -= dataBytes(message);
      }
      if (!this.#write(connection)) break;
    }
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head >= streamMessagesMax) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The peer reads from here from now on, and not any more from where it read before. */
  attach(sink: BodySink): BodySource {
    this.#detach()?.end();
    const { clock, frames } = this.#context;
    // Both ends of a stream start from nothing.
    const msgApp = this.#kind === 'msgapp' ? new MsgAppEncoder(frames) : undefined;
    const connection: Connection = {
      sink,
      encode: msgApp === undefined ? encodeMessage : (message, batch) => msgApp.encode(message, batch),
      fullSinceMs: undefined,
      timer: clock.after(heartbeatMs, () => this.#beat(connection)),
    };
    this.#connection = connection;
    this.#status.activate();
    this.#context.inform(
      `established TCP streaming connection with remote peer ${hexId(this.#peerId)} (${this.#source})`,
    );
    return {
      room: () => {
        connection.fullSinceMs = undefined;
        if (this.#connection === connection) this.flush();
      },
      gone: () => {
        if (this.#connection === connection) this.#fail('write', 'the peer has closed the stream');
      },
    };
  }

  [Symbol.dispose](): void {
    this.#detach()?.end();
  }

  #write(connection: Connection): boolean {
    const { sink } = connection;
    let room = true;
    this.#traffic.sentBytes += this.#batch.bytes;
    for (const piece of this.#batch.take()) room = sink.write(piece);
    if (!room) connection.fullSinceMs = this.#context.clock.monotonicMs();
    return room;
  }

  #beat(connection: Connection): void {
    if (this.#connection !== connection) return;
    const { clock } = this.#context;
    if (connection.fullSinceMs === undefined) {
      connection.encode(linkHeartbeat, this.#batch);
      this.#write(connection);
    } else if (clock.monotonicMs() - connection.fullSinceMs >= ioTimeoutMs) {
      this.#fail('heartbeat', 'i/o timeout');
      return;
    }
    connection.timer = clock.after(heartbeatMs, () => this.#beat(connection));
  }

  #fail(action: Failure['action'], reason: string): void {
    this.#status.deactivate({ action, source: this.#source }, reason);
    this.#traffic.sendFailures++;
    // What was written may not have arrived.
    this.#context.reportUnreachable(this.#peerId);
    this.#detach()?.destroy();
  }

  get #source(): Failure['source'] {
    return this.#kind === 'msgapp' ? 'stream MsgApp v2' : 'stream Message';
  }

  /** Leaves the connection, whose sink is returned, and what waits for it. */
  #detach(): BodySink | undefined {
    const connection = this.#connection;
    if (connection === undefined) return undefined;
    this.#connection = undefined;
    connection.timer[Symbol.dispose]();
    if (this.#waiting.length > this.#head) this.#context.reportUnreachable(this.#peerId);
    this.#waiting = [];
    this.#head = 0;
    this.#waitingBytes = 0;
    return connection.sink;
  }
}

function dataBytes({ entries }: Message): number {
  let bytes = 0;
  for (const { data } of entries) bytes += data?.length ?? 0;
  return bytes;
}
