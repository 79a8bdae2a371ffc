/**
 * The stream of messages of every kind, and the head of a snapshot: each message behind its length, eight bytes big-endian
 * (upstream: rafthttp's messageEncoder).
 */
import { Message, MessageType } from '#api-etcd/gen/raft.ts';
import { ByteFeed, readUint64, writeUint64 } from './byte-feed.ts';
import type { FrameBatch } from './frame-batch.ts';

/** Longest message of a stream, as upstream's limit. */
export const messageBytesMax = 512 << 20;
const lengthBytes = 8;

/** What does not follow the framing, or is beyond a limit. The stream is of no use any more. */
export class PeerStreamError extends Error {
  override readonly name = 'PeerStreamError';
}

/** Keeps a link alive: raft never sends a message to 0 from 0. */
export const linkHeartbeat: Message = Message.create({ type: MessageType.MsgHeartbeat });

export function isLinkHeartbeat({ type, from, to }: Message): boolean {
  return type === MessageType.MsgHeartbeat && from === 0n && to === 0n;
}

/** How both streams and a pipeline's body read a message. Members of 3.5 send an empty snapshot in every message; it says nothing. */
export function decodeMessage(bytes: Uint8Array): Message {
  const message = Message.decode(bytes);
  if (message.snapshot === undefined || message.type === MessageType.MsgSnap) return message;
  return { ...message, snapshot: undefined };
}

export function encodeMessage(message: Message, batch: FrameBatch): void {
  const size = Message.size(message);
  batch.add(lengthBytes + size, (target, offset) => Message.write(message, target, writeUint64(size, target, offset)));
}

export class MessageDecoder {
  readonly #feed = new ByteFeed();
  readonly #bytesMax: number;
  /** Of the message that is being read. */
  #length: number | undefined;
  #lastBytes = 0;

  constructor(bytesMax = messageBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Whether the stream may end here: not inside a message. */
  get atBoundary(): boolean {
    return this.#length === undefined && this.#feed.available === 0;
  }

  /**
   * Gives the messages that are whole now, with their length.
   * @throws PeerStreamError beyond the limit; ProtobufError
   */
  push(chunk: Uint8Array, emit: (message: Message, bytes: number) => void): void {
    this.#feed.push(chunk);
    for (let message = this.#next(); message !== undefined; message = this.#next()) emit(message, this.#lastBytes);
  }

  /** As {@link push} for who reads one message and then something else: returns it, when it is whole. */
  pushOne(chunk: Uint8Array): Message | undefined {
    this.#feed.push(chunk);
    return this.#next();
  }

  /** What came behind the last message. */
  rest(): readonly Buffer[] {
    return this.#feed.rest();
  }

  #next(): Message | undefined {
    if (this.#length === undefined) {
      if (this.#feed.available < lengthBytes) return undefined;
      const length = readUint64(this.#feed.take(lengthBytes));
      if (length > this.#bytesMax) throw new PeerStreamError('rafthttp: error limit exceeded');
      this.#length = length;
    }
    if (this.#feed.available < this.#length) return undefined;
    const bytes = this.#feed.take(this.#length);
    this.#lastBytes = lengthBytes + this.#length;
    this.#length = undefined;
    return decodeMessage(bytes);
  }
}
