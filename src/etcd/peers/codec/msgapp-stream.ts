/**
 * The stream that a leader sends entries on (upstream: rafthttp's msgappv2). Both ends remember term and index of the last entry, so that
 * a MsgApp that follows on it travels as entries and commit index alone:
 *
 *     0                                            link heartbeat
 *     1, count, (length, entry) x count, commit    entries that follow on the last one
 *     2, length, message                           any MsgApp; sets term and index
 *
 * Numbers behind the first byte are eight bytes big-endian.
 */
import { Entry, Message, MessageType } from '#api-etcd/gen/raft.ts';
import { ByteFeed, readUint64, writeUint64 } from './byte-feed.ts';
import type { FrameBatch } from './frame-batch.ts';
import { decodeMessage, isLinkHeartbeat, linkHeartbeat, messageBytesMax, PeerStreamError } from './message-stream.ts';

const kindHeartbeat = 0;
const kindEntries = 1;
const kindMessage = 2;

/** Entries of one message. Upstream has no limit; a leader's own, 1 MiB a message, keeps it far below. */
const entriesMax = 1 << 20;
/** A frame of entries from this size on is encoded once for all peers. */
const sharedBytesMin = 4 << 10;

interface SharedFrame {
  readonly entries: readonly Entry[];
  readonly commit: number;
  readonly frame: Buffer;
}

/** Large frames kept for the other peers, which write theirs in the same turn. */
const sharedFramesMax = 64;
const sharedBytesMax = 4 << 20;

/** The newest large frames of entries: a leader sends the same entries with the same commit index to every follower. */
export class SharedFrames {
  /** By their first entry, oldest first. */
  readonly #frames = new Map<Entry, SharedFrame>();
  #bytes = 0;

  /** The frame of exactly these entries, made by `encode` unless there is one. Entries never change, so that the same ones at both ends are the same run. */
  frameOf({ entries, commit }: Message, encode: () => Buffer): Buffer {
    const first = entries[0]!;
    const known = this.#frames.get(first);
    if (
      known !== undefined &&
      known.commit === commit &&
      known.entries.length === entries.length &&
      known.entries[entries.length - 1] === entries[entries.length - 1]
    )
      return known.frame;
    if (known !== undefined) this.#forget(first, known);
    const frame = encode();
    this.#frames.set(first, { entries, commit, frame });
    this.#bytes += frame.length;
    for (const [oldest, shared] of this.#frames) {
      if (this.#frames.size <= sharedFramesMax && this.#bytes <= sharedBytesMax) break;
      this.#forget(oldest, shared);
    }
    return frame;
  }

  #forget(first: Entry, { frame }: SharedFrame): void {
    this.#frames.delete(first);
    this.#bytes -= frame.length;
  }
}

export class MsgAppEncoder {
  readonly #shared: SharedFrames;
  #term = 0;
  #index = 0;

  constructor(shared: SharedFrames) {
    this.#shared = shared;
  }

  encode(message: Message, batch: FrameBatch): void {
    if (isLinkHeartbeat(message)) {
      batch.add(1, (target, offset) => target.writeUInt8(kindHeartbeat, offset));
      return;
    }
    const { term, logTerm, index, entries } = message;
    if (index === this.#index && logTerm === this.#term && logTerm === term) {
      this.#index += entries.length;
      const size = entriesFrameBytes(entries);
      const fill = (target: Buffer, offset: number) => writeEntriesFrame(message, target, offset);
      if (size < sharedBytesMin) batch.add(size, fill);
      else
        batch.share(
          this.#shared.frameOf(message, () => {
            const frame = Buffer.allocUnsafeSlow(size);
            fill(frame, 0);
            return frame;
          }),
        );
      return;
    }
    const size = Message.size(message);
    batch.add(9 + size, (target, offset) => {
      target[offset] = kindMessage;
      return Message.write(message, target, writeUint64(size, target, offset + 1));
    });
    this.#term = term;
    this.#index = entries.at(-1)?.index ?? index;
  }
}

function entriesFrameBytes(entries: readonly Entry[]): number {
  let size = 1 + 8 + 8;
  for (const entry of entries) size += 8 + Entry.size(entry);
  return size;
}

function writeEntriesFrame({ entries, commit }: Message, target: Buffer, offset: number): number {
  target[offset] = kindEntries;
  let at = writeUint64(entries.length, target, offset + 1);
  for (const entry of entries) {
    const end = Entry.write(entry, target, at + 8);
    writeUint64(end - at - 8, target, at);
    at = end;
  }
  return writeUint64(commit, target, at);
}

/** What the next bytes are. */
type Expect =
  | { readonly what: 'kind' }
  | { readonly what: 'count' }
  | { readonly what: 'entryLength' }
  | { readonly what: 'entry'; readonly length: number }
  | { readonly what: 'commit' }
  | { readonly what: 'messageLength' }
  | { readonly what: 'message'; readonly length: number };

export class MsgAppDecoder {
  readonly #feed = new ByteFeed();
  readonly #local: bigint;
  readonly #remote: bigint;
  readonly #bytesMax: number;
  #expect: Expect = { what: 'kind' };
  #term = 0;
  #index = 0;
  #entries: Entry[] = [];
  #entriesLeft = 0;
  /** Of the frame that is being read. */
  #frameBytes = 0;

  /** @param local who reads, @param remote who writes: a frame of entries does not say */
  constructor(local: bigint, remote: bigint, bytesMax = messageBytesMax) {
    this.#local = local;
    this.#remote = remote;
    this.#bytesMax = bytesMax;
  }

  /** Whether the stream may end here: not inside a frame. */
  get atBoundary(): boolean {
    return this.#expect.what === 'kind' && this.#feed.available === 0;
  }

  /**
   * Gives the messages that are whole now, link heartbeats too, with their length on the wire.
   * @throws PeerStreamError for an unknown kind or beyond a limit; ProtobufError
   */
  push(chunk: Uint8Array, emit: (message: Message, bytes: number) => void): void {
    const feed = this.#feed;
    feed.push(chunk);
    for (;;) {
      const expect = this.#expect;
      const need = 'length' in expect ? expect.length : expect.what === 'kind' ? 1 : 8;
      if (feed.available < need) return;
      const bytes = feed.take(need);
      this.#frameBytes += need;
      const message = this.#step(expect, bytes);
      if (message === undefined) continue;
      const frameBytes = this.#frameBytes;
      this.#frameBytes = 0;
      emit(message, frameBytes);
    }
  }

  #step(expect: Expect, bytes: Buffer): Message | undefined {
    switch (expect.what) {
      case 'kind':
        return this.#kind(bytes[0]!);
      case 'count': {
        const count = readUint64(bytes);
        if (count > entriesMax) throw new PeerStreamError(`${count} entries in one message, over ${entriesMax}`);
        this.#entries = [];
        this.#entriesLeft = count;
        this.#expect = count === 0 ? expectCommit : expectEntryLength;
        return undefined;
      }
      case 'entryLength':
        this.#expect = { what: 'entry', length: this.#length(bytes) };
        return undefined;
      case 'entry':
        this.#entries.push(Entry.decode(bytes));
        this.#index++;
        this.#expect = --this.#entriesLeft === 0 ? expectCommit : expectEntryLength;
        return undefined;
      case 'commit':
        this.#expect = expectKind;
        return this.#follow(readUint64(bytes));
      case 'messageLength':
        this.#expect = { what: 'message', length: this.#length(bytes) };
        return undefined;
      case 'message': {
        const message = decodeMessage(bytes);
        this.#term = message.term;
        this.#index = message.entries.at(-1)?.index ?? message.index;
        this.#expect = expectKind;
        return message;
      }
    }
  }

  #kind(kind: number): Message | undefined {
    switch (kind) {
      case kindHeartbeat:
        return linkHeartbeat;
      case kindEntries:
        this.#expect = { what: 'count' };
        return undefined;
      case kindMessage:
        this.#expect = { what: 'messageLength' };
        return undefined;
      default:
        throw new PeerStreamError(`failed to parse type ${kind} in msgappv2 stream`);
    }
  }

  #length(bytes: Buffer): number {
    const length = readUint64(bytes);
    if (this.#frameBytes + length > this.#bytesMax) throw new PeerStreamError('rafthttp: error limit exceeded');
    return length;
  }

  #follow(commit: number): Message {
    if (!Number.isSafeInteger(commit)) throw new PeerStreamError('commit index is beyond 2^53');
    const entries = this.#entries;
    this.#entries = [];
    return Message.create({
      type: MessageType.MsgApp,
      from: this.#remote,
      to: this.#local,
      term: this.#term,
      logTerm: this.#term,
      index: this.#index - entries.length,
      entries,
      commit,
    });
  }
}

const expectKind: Expect = { what: 'kind' };
const expectCommit: Expect = { what: 'commit' };
const expectEntryLength: Expect = { what: 'entryLength' };
