/**
 * One revision of one key: where its record stands, and the version before it. Records are encoded `mvccpb.KeyValue`s (a
 * tombstone's holds the key alone), the very bytes that etcd's backend file and its hash are made of. A store holds millions of these:
 * what the record says, its key above all, is read there and kept nowhere else.
 */
import { KeyValue } from '#api-etcd/gen/kv.ts';
import { assert } from '#std/assert.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { Reader } from '#wire/protobuf/reader.ts';
import type { Segment } from './segments.ts';
import { StoredKeyValue } from './stored-key-value.ts';

/** Tags of `mvccpb.KeyValue`: field number and wire type. The key comes first. */
const keyTag = (1 << 3) | 2;
const createRevisionTag = (2 << 3) | 0;
const versionTag = (4 << 3) | 0;
const leaseTag = (6 << 3) | 0;

/** Before a record in its segment: its length, and which change of its revision it is; 32 bits each. */
const headBytes = 8;
const subOffset = 4;
/** Stands behind the head of an empty record, and is no part of it: an empty key can be read off that too. */
const emptyKey = Buffer.of(keyTag, 0);

export class Version {
  readonly main: number;
  /** Bytes never change; vacuuming moves a record to another segment. */
  segment: Segment;
  /** `start * 2 + tombstone`. */
  #placeAndKind: number;

  /** @param start where the head of the record stands, as {@link writeHead} has written it */
  constructor(main: number, tombstone: boolean, segment: Segment, start: number) {
    this.main = main;
    this.segment = segment;
    this.#placeAndKind = start * 2 + (tombstone ? 1 : 0);
  }

  /** The version before this one; versions that compaction has dropped are cut off. */
  get previous(): Version | undefined {
    return undefined;
  }

  set previous(version: Version | undefined) {
    assert(version === undefined, 'the first version of a key stays the first');
  }

  get tombstone(): boolean {
    return (this.#placeAndKind & 1) === 1;
  }

  get start(): number {
    return this.#placeAndKind >> 1;
  }

  moveTo(segment: Segment, start: number): void {
    this.segment = segment;
    this.#placeAndKind = start * 2 + (this.#placeAndKind & 1);
  }

  get sub(): number {
    return this.segment.bytes.readUInt32LE(this.start + subOffset);
  }

  /** Length of the record. */
  get recordBytes(): number {
    return this.segment.bytes.readUInt32LE(this.start);
  }

  /** What it takes of its segment. */
  get storedBytes(): number {
    return storedBytes(this.recordBytes);
  }

  /** The encoded record; a view. */
  get record(): Buffer {
    const from = this.start + headBytes;
    return this.segment.bytes.subarray(from, from + this.recordBytes);
  }

  /** One character a byte: strings compare in the order of their bytes. Made anew each time. */
  get key(): string {
    const { bytes } = this.segment;
    const at = this.keyStart;
    return latin1Slice.call(bytes, at, at + keyLength(bytes, at));
  }

  /** Where the key stands in the segment. */
  get keyStart(): number {
    const { bytes } = this.segment;
    // Behind its tag stands its length.
    let at = this.start + headBytes + 1;
    while (bytes[at]! >= 0x80) at++;
    return at + 1;
  }

  /** What the next version of the key counts on from: two fields of the record, read without the rest. */
  counts(): { readonly createRevision: number; readonly version: number } {
    const reader = new Reader(this.segment.bytes);
    reader.position = this.start + headBytes;
    reader.end = reader.position + this.recordBytes;
    let createRevision = 0;
    let version = 0;
    while (reader.position < reader.end) {
      const tag = reader.uint32();
      if (tag === createRevisionTag) createRevision = reader.int64Number();
      else if (tag === versionTag) {
        version = reader.int64Number();
        // Fields stand in order: nothing of interest comes after.
        break;
      } else reader.skip(tag);
    }
    return { createRevision, version };
  }

  /** The key and value as clients see them. A tombstone has the key and the revision of the delete. */
  keyValue(): KeyValue {
    const stored = KeyValue.decode(this.record);
    return this.tombstone ? KeyValue.create({ key: stored.key, modRevision: this.main }) : stored;
  }

  /** The same of a live version, for an answer that is encoded at once: read only when somebody looks at a field. */
  stored(): StoredKeyValue {
    const from = this.start + headBytes;
    return new StoredKeyValue(this.segment.bytes, from, from + this.recordBytes);
  }
}

/** Most keys have one version only: those need no room for one before. */
class LaterVersion extends Version {
  #previous: Version | undefined;

  constructor(main: number, tombstone: boolean, segment: Segment, start: number, previous: Version) {
    super(main, tombstone, segment, start);
    this.#previous = previous;
  }

  override get previous(): Version | undefined {
    return this.#previous;
  }

  override set previous(version: Version | undefined) {
    this.#previous = version;
  }
}

/** As the constructor of {@link Version}; the one before, if there is one, comes last. */
export function createVersion(
  main: number,
  tombstone: boolean,
  segment: Segment,
  start: number,
  previous: Version | undefined,
): Version {
  return previous === undefined
    ? new Version(main, tombstone, segment, start)
    : new LaterVersion(main, tombstone, segment, start, previous);
}

/** What a record of `length` bytes takes of a segment. */
export function storedBytes(length: number): number {
  return headBytes + (length === 0 ? emptyKey.length : length);
}

/** Writes what stands before a record of `length` bytes, the `sub`th change of its revision. @returns where the record belongs */
export function writeHead(bytes: Buffer, start: number, length: number, sub: number): number {
  bytes.writeUInt32LE(length, start);
  const at = bytes.writeUInt32LE(sub, start + subOffset);
  if (length === 0) bytes.set(emptyKey, at);
  return at;
}

export interface KeyAndLease {
  readonly key: string;
  /** 0 for none. */
  readonly lease: bigint;
}

/**
 * What a record that comes from outside says of itself. Its key must stand first, where everybody writes it: there it is read from then on.
 * @throws ProtobufError
 */
export function keyAndLease(record: Uint8Array): KeyAndLease {
  if (record.length > 0 && record[0] !== keyTag) throw new ProtobufError('a record does not begin with its key');
  const reader = new Reader(record);
  let key = '';
  let lease = 0n;
  while (reader.position < reader.end) {
    const tag = reader.uint32();
    if (tag === keyTag) key = keyOf(reader.bytesField());
    else if (tag === leaseTag) lease = reader.int64();
    else reader.skip(tag);
  }
  return { key, lease };
}

/** Length of the key that begins at `start`: the varint before it. The tag before that is less than any but its last byte. */
export function keyLength(bytes: Buffer, start: number): number {
  let length = bytes[start - 1]!;
  for (let at = start - 2; bytes[at]! >= 0x80; at--) length = length * 128 + (bytes[at]! & 0x7f);
  return length;
}

/** The version of a key that a reader at `revision` sees, a tombstone too. */
export function versionAt(head: Version | undefined, revision: number): Version | undefined {
  let version = head;
  while (version !== undefined && version.main > revision) version = version.previous;
  return version;
}

// Buffer's own method also takes plain byte arrays, which have none.
const latin1Slice = (
  Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string }
).latin1Slice;

/** A key's bytes as a string of one character a byte. */
export function keyOf(bytes: Uint8Array): string {
  return latin1Slice.call(bytes, 0, bytes.length);
}

export function bytesOfKey(key: string): Buffer {
  return Buffer.from(key, 'latin1');
}
