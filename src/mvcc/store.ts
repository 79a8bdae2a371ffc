/**
 * The multi-version store: every change is a revision, old revisions can be read until they are compacted. It is a value that is
 * changed in place and forks in constant time. It knows no leases, no wire, no disk and no time; what is written to
 * it has been ordered and made durable by somebody else. Semantics: etcd's KV API.
 */
import { etcdError } from '#api-etcd/errors.ts';
import { KeyValue } from '#api-etcd/gen/kv.ts';
import { assert } from '#std/assert.ts';
import { KeyTree } from './key-tree.ts';
import { type Segment, SegmentWriter } from './segments.ts';
import { SharedLog } from './shared-log.ts';
import { bytesOfKey, keyOf, Version, versionAt } from './version.ts';

export interface KeyRange {
  readonly from: string;
  /** Exclusive; undefined is no end. */
  readonly to: string | undefined;
}

/** Range of the API: no end is one key, `\0` is everything from the key on. */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const from = keyOf(key);
  if (rangeEnd.length === 0) return { from, to: `${from}\0` };
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { from, to: undefined };
  return { from, to: keyOf(rangeEnd) };
}

export interface RangeResult {
  readonly versions: readonly Version[];
  /** Keys in the range, whatever the limit. */
  readonly count: number;
  /** The store's revision, not the one that was asked for. */
  readonly revision: number;
}

export class Store {
  #tree = new KeyTree();
  /** All versions that are kept, in order of revision. */
  #log = new SharedLog<Version>();
  #segments = new SegmentWriter();
  #main = 1;
  #compacted = -1;
  /** Versions up to here are shared with a fork: they never change again. */
  #sharedUpTo = 0;
  #changes: Version[] | undefined;
  #recordBytes = 0;

  /** Revision of the last change; 1 for a store that was never written. */
  get revision(): number {
    return this.#main;
  }

  /** What a reader sees: inside a write that has changed something, the revision it makes. */
  get viewRevision(): number {
    return this.#changes !== undefined && this.#changes.length > 0 ? this.#main + 1 : this.#main;
  }

  /** Revisions before this one are gone; -1 when nothing was compacted. */
  get compactRevision(): number {
    return this.#compacted;
  }

  /** Bytes of all records kept. */
  get recordBytes(): number {
    return this.#recordBytes;
  }

  /** How many versions are kept. */
  get versionCount(): number {
    return this.#log.length;
  }

  get keyCount(): number {
    return this.#tree.size;
  }

  /** Constant time; both go on as if they were copies. Not inside a write. */
  fork(): Store {
    assert(this.#changes === undefined, 'no fork inside a write');
    const fork = new Store();
    fork.#tree = this.#tree.fork();
    fork.#log = this.#log.fork();
    fork.#segments = this.#segments.fork();
    fork.#main = this.#main;
    fork.#compacted = this.#compacted;
    fork.#recordBytes = this.#recordBytes;
    fork.#sharedUpTo = this.#sharedUpTo = this.#main;
    return fork;
  }

  /**
   * Versions of `range` at `revision` (0 or less: now), in order of keys. `limit` 0 is none.
   * @throws RpcError OutOfRange for a revision that is compacted or not there yet
   */
  range(range: KeyRange, { revision = 0, limit = 0, countOnly = false } = {}): RangeResult {
    const current = this.viewRevision;
    if (revision > current) throw etcdError('futureRevision');
    const at = revision <= 0 ? current : revision;
    if (at < this.#compacted) throw etcdError('compacted');
    const versions: Version[] = [];
    const { from, to } = range;
    if (at === current) {
      if (!countOnly)
        this.#tree.scan(from, to, (head) => {
          if (!head.tombstone) versions.push(head);
          return versions.length !== limit || limit === 0;
        });
      const complete = !countOnly && (limit === 0 || versions.length < limit);
      return { versions, count: complete ? versions.length : this.#tree.countLive(from, to), revision: current };
    }
    let count = 0;
    this.#tree.scan(from, to, (head) => {
      const version = versionAt(head, at);
      if (version === undefined || version.tombstone) return true;
      count++;
      if (!countOnly && (limit === 0 || versions.length < limit)) versions.push(version);
      return true;
    });
    return { versions, count, revision: current };
  }

  /** The live version of a key, as a reader sees it now. */
  get(key: string): Version | undefined {
    const head = this.#tree.get(key);
    return head === undefined || head.tombstone ? undefined : head;
  }

  /** The newest version of a key, a tombstone too. */
  newest(key: string): Version | undefined {
    return this.#tree.get(key);
  }

  /** Starts a write: what is put and deleted until {@link endWrite} is one revision. */
  beginWrite(): void {
    assert(this.#changes === undefined, 'one write at a time');
    this.#changes = [];
  }

  /** Ends the write. @returns its changes in order; none means the revision stays */
  endWrite(): readonly Version[] {
    const changes = this.#changes;
    assert(changes !== undefined, 'a write was begun');
    this.#changes = undefined;
    if (changes.length > 0) this.#main++;
    return changes;
  }

  put(keyBytes: Uint8Array, value: Uint8Array, lease: bigint): void {
    const key = keyOf(keyBytes);
    const head = this.#tree.get(key);
    const main = this.#main + 1;
    let createRevision = main;
    let version = 1;
    if (head !== undefined && !head.tombstone) {
      const before = KeyValue.decode(head.record);
      createRevision = before.createRevision;
      version = before.version + 1;
    }
    const record = { key: keyBytes, createRevision, modRevision: main, version, value, lease };
    this.#append(key, head, false, record);
  }

  /** Deletes the live keys of a range. @returns what was deleted, in order of keys */
  deleteRange(range: KeyRange): readonly Version[] {
    const { versions } = this.range(range);
    for (const version of versions)
      this.#append(version.key, version, true, KeyValue.create({ key: bytesOfKey(version.key) }));
    return versions;
  }

  /**
   * Drops what no reader at `revision` or later needs.
   * @throws RpcError OutOfRange when that was done already, or the revision is not there yet
   */
  compact(revision: number): void {
    if (revision <= this.#compacted) throw etcdError('compacted');
    if (revision > this.#main) throw etcdError('futureRevision');
    const before = this.#compacted;
    this.#compacted = revision;
    const dropped = new Set<Version>();
    const replaced = new Map<Version, Version>();
    const seen = new Set<string>();
    const start = this.#log.indexWhere((version) => version.main > before);
    const end = this.#log.indexWhere((version) => version.main > revision);
    // Only a key with a version since the last compaction has anything to drop; a tombstone at that revision was left then.
    for (let i = 0; i < end; i++) {
      const version = this.#log.at(i);
      if ((i < start && !version.tombstone) || seen.has(version.key)) continue;
      seen.add(version.key);
      this.#compactKey(version.key, revision, dropped, replaced);
    }
    for (const { segment, start: from, end: to } of dropped) {
      segment.live -= to - from;
      this.#recordBytes -= to - from;
    }
    const kept: Version[] = [];
    for (let i = 0; i < this.#log.length; i++) {
      const version = this.#log.at(i);
      if (dropped.has(version)) continue;
      const fresh = replaced.get(version) ?? version;
      this.#vacuum(fresh);
      kept.push(fresh);
    }
    this.#log = new SharedLog(kept);
  }

  /**
   * Versions with revisions in `[from, to]`, in order, at most `revisionsMax` revisions of them; `next` is the first revision
   * that was not looked at. Not for compacted revisions.
   */
  changes(from: number, to: number, revisionsMax: number): { readonly versions: Version[]; readonly next: number } {
    assert(from >= this.#compacted, 'compacted revisions have no changes');
    const versions: Version[] = [];
    let revisions = 0;
    let last = 0;
    for (let i = this.#log.indexWhere((version) => version.main >= from); i < this.#log.length; i++) {
      const version = this.#log.at(i);
      if (version.main > to) break;
      if (version.main !== last) {
        if (revisions === revisionsMax) return { versions, next: version.main };
        revisions++;
        last = version.main;
      }
      versions.push(version);
    }
    return { versions, next: to + 1 };
  }

  /** Every version kept, in order of revision: what a checkpoint writes and a hash covers. */
  *all(): Generator<Version> {
    const log = this.#log;
    const { length } = log;
    for (let i = 0; i < length; i++) yield log.at(i);
  }

  /** The live version of every key, in order of keys. */
  live(): readonly Version[] {
    return this.range({ from: '', to: undefined }).versions;
  }

  /** Puts back a version that was read from a checkpoint; they must come in order of revision. */
  restore(main: number, sub: number, tombstone: boolean, record: Uint8Array): void {
    const { key: keyBytes } = KeyValue.decode(record);
    const key = keyOf(keyBytes);
    const segment = this.#segments.reserve(record.length);
    const end = segment.used;
    segment.bytes.set(record, end - record.length);
    this.#add(new Version(key, main, sub, tombstone, this.#tree.get(key), segment, end - record.length, end));
    this.#main = Math.max(this.#main, main);
  }

  /** After the last {@link restore}: the compaction that the checkpoint had seen, -1 for none. */
  restored(compactRevision: number): void {
    this.#compacted = compactRevision;
    this.#main = Math.max(this.#main, compactRevision);
  }

  #append(key: string, head: Version | undefined, tombstone: boolean, record: KeyValue): void {
    const changes = this.#changes;
    assert(changes !== undefined, 'changes happen inside a write');
    const length = KeyValue.size(record);
    const segment = this.#segments.reserve(length);
    const end = segment.used;
    KeyValue.write(record, segment.bytes, end - length);
    const version = new Version(key, this.#main + 1, changes.length, tombstone, head, segment, end - length, end);
    this.#add(version);
    changes.push(version);
  }

  #add(version: Version): void {
    this.#tree.set(version);
    this.#log.push(version);
    this.#recordBytes += version.end - version.start;
  }

  #compactKey(key: string, revision: number, dropped: Set<Version>, replaced: Map<Version, Version>): void {
    const head = this.#tree.get(key);
    const oldest = versionAt(head, revision);
    if (head === undefined || oldest === undefined) return;
    // A delete at the very revision stays: whoever watches from there must see it.
    const keepsOldest = !oldest.tombstone || oldest.main === revision;
    const tail = keepsOldest ? oldest.previous : oldest;
    for (let version = tail; version !== undefined; version = version.previous) dropped.add(version);
    if (tail === undefined) return;
    if (tail === head) {
      this.#tree.delete(key);
      return;
    }
    let above = head;
    while (above.previous !== tail) above = above.previous!;
    if (above.main > this.#sharedUpTo) {
      above.previous = undefined;
      return;
    }
    // A fork still needs the tail: this store gets copies of what stands before it.
    const chain: Version[] = [];
    for (let version: Version = head; ; version = version.previous!) {
      chain.push(version);
      if (version === above) break;
    }
    let below: Version | undefined;
    for (const version of chain.reverse()) {
      const { main, sub, tombstone, segment, start, end } = version;
      below = new Version(key, main, sub, tombstone, below, segment, start, end);
      replaced.set(version, below);
    }
    this.#tree.set(below!);
  }

  /** Moves a record out of a segment that is mostly dead, so that the segment can go. */
  #vacuum(version: Version): void {
    const { segment, start, end } = version;
    if (segment.live * 2 >= segment.used || !isFull(segment)) return;
    const target = this.#segments.reserve(end - start);
    segment.bytes.copy(target.bytes, target.used - (end - start), start, end);
    version.segment = target;
    version.end = target.used;
    version.start = target.used - (end - start);
    segment.live -= end - start;
  }
}

/** A segment that may still be written to stays as it is. */
function isFull(segment: Segment): boolean {
  return segment.bytes.length - segment.used < segment.bytes.length / 4;
}
