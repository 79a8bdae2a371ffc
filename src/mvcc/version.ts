/**
 * One revision of one key: where its record stands, and the version before it. Records are encoded `mvccpb.KeyValue`s (a
 * tombstone's holds the key alone), the very bytes that etcd's backend file and its hash are made of.
 */
import { KeyValue } from '#api-etcd/gen/kv.ts';
import { Reader } from '#wire/protobuf/reader.ts';
import type { Segment } from './segments.ts';

/** Tags of `mvccpb.KeyValue`: field number and wire type. */
const createRevisionTag = (2 << 3) | 0;
const versionTag = (4 << 3) | 0;

export class Version {
  /** The key, one character a byte: strings compare in the order of their bytes, and take a fraction of an array's memory. */
  readonly key: string;
  readonly main: number;
  /** `sub * 2 + tombstone`. */
  readonly #subAndKind: number;
  /** The version before this one; versions that compaction has dropped are cut off. */
  previous: Version | undefined;
  /** Bytes never change; vacuuming moves a record to another segment. */
  segment: Segment;
  start: number;
  end: number;

  constructor(
    key: string,
    main: number,
    sub: number,
    tombstone: boolean,
    previous: Version | undefined,
    segment: Segment,
    start: number,
    end: number,
  ) {
    this.key = key;
    this.main = main;
    this.#subAndKind = sub * 2 + (tombstone ? 1 : 0);
    this.previous = previous;
    this.segment = segment;
    this.start = start;
    this.end = end;
  }

  get sub(): number {
    return this.#subAndKind >> 1;
  }

  get tombstone(): boolean {
    return (this.#subAndKind & 1) === 1;
  }

  /** The encoded record; a view. */
  get record(): Buffer {
    return this.segment.bytes.subarray(this.start, this.end);
  }

  /** What the next version of the key counts on from: two fields of the record, read without the rest. */
  counts(): { readonly createRevision: number; readonly version: number } {
    const reader = new Reader(this.segment.bytes);
    reader.position = this.start;
    reader.end = this.end;
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
