/**
 * The multi-version store: every change is a revision, old revisions can be read until they are compacted. It is a value that is
 * changed in place and forks in constant time. It knows no leases, no wire, no disk and no time; what is written to
 * it has been ordered and made durable by somebody else. Semantics: etcd's KV API.
 */
import { etcdError } from '#api-etcd/errors.ts';
import { KeyValue } from '#api-etcd/gen/kv.ts';
import { assert } from '#std/assert.ts';
import { Compaction, type CompactionWitness } from './compaction.ts';
import { KeyTree } from './key-tree.ts';
import { SegmentWriter } from './segments.ts';
import { SharedLog } from './shared-log.ts';
import {
  bytesOfKey,
  createVersion,
  type KeyAndLease,
  keyAndLease,
  keyOf,
  storedBytes,
  type Version,
  versionAt,
  writeHead,
} from './version.ts';

export interface KeyRange {
  readonly from: string;
  /** Exclusive; undefined is no end. */
  readonly to: string | undefined;
  /** The range of `from` alone. */
  readonly isOneKey?: true;
}

/** Range of the API: no end is one key, `\0` is everything from the key on. */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const from = keyOf(key);
  if (rangeEnd.length === 0) return { from, to: `${from}\0`, isOneKey: true };
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
  #finished = -1;
  /** What was compacted when the newest compaction was asked for; undefined for one that was under way when the store was saved. */
  #compactedBefore: number | undefined = -1;
  #compaction: Compaction | undefined;
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
    // A compaction that is under way starts again in the fork.
    fork.#finished = this.#finished;
    fork.#compactedBefore = this.#compactedBefore;
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
    const { from, to, isOneKey } = range;
    if (isOneKey) {
      const version = versionAt(this.#tree.get(from), at);
      if (version === undefined || version.tombstone) return { versions, count: 0, revision: current };
      if (!countOnly) versions.push(version);
      return { versions, count: 1, revision: current };
    }
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

  /** Live keys of a range, without looking at them. */
  countLive({ from, to }: KeyRange): number {
    return this.#tree.countLive(from, to);
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

  /** Whether any key is alive at a revision that can be read. Looks at no more keys than it must to find one. */
  holdsAny(revision: number): boolean {
    let holds = false;
    this.#tree.scan('', undefined, (head) => {
      const version = versionAt(head, revision);
      holds = version !== undefined && !version.tombstone;
      return !holds;
    });
    return holds;
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
      const before = head.counts();
      createRevision = before.createRevision;
      version = before.version + 1;
    }
    const record = { key: keyBytes, createRevision, modRevision: main, version, value, lease };
    this.#append(key, head, false, record);
  }

  /** Deletes the live keys of a range. @returns what was deleted, in order of keys */
  deleteRange(range: KeyRange): readonly Version[] {
    const { versions } = this.range(range);
    for (const version of versions) {
      const { key } = version;
      this.#append(key, version, true, KeyValue.create({ key: bytesOfKey(key) }));
    }
    return versions;
  }

  /**
   * Makes revisions before `revision` unreadable, at once; {@link compactStep} then frees what they took.
   * @throws RpcError OutOfRange when that was done already, or the revision is not there yet
   */
  compact(revision: number): void {
    if (revision <= this.#compacted) throw etcdError('compacted');
    if (revision > this.#main) throw etcdError('futureRevision');
    this.#compactedBefore = this.#compacted;
    this.#compacted = revision;
  }

  /** Revisions before this one take no room any more: at most {@link compactRevision}. */
  get finishedCompactRevision(): number {
    return this.#finished;
  }

  /**
   * Frees a piece of what compactions have left, looking at up to `versionsMax` versions.
   * @param witnessOf who looks on when a compaction begins, at `revision` after one at `before`, -1 for none; not known for one that a stop has interrupted
   * @returns whether there is more to do
   */
  compactStep(
    versionsMax: number,
    witnessOf?: (revision: number, before: number | undefined) => CompactionWitness | undefined,
  ): boolean {
    if (this.#finished >= this.#compacted) return false;
    assert(this.#changes === undefined, 'not inside a write');
    this.#compaction ??= new Compaction(this.#compacted, witnessOf?.(this.#compacted, this.#compactedBefore));
    const left = this.#compaction.step(
      { tree: this.#tree, log: this.#log, segments: this.#segments, sharedUpTo: this.#sharedUpTo },
      versionsMax,
    );
    this.#recordBytes -= this.#compaction.takeDroppedBytes();
    if (left !== undefined) {
      this.#log = left;
      this.#finished = this.#compaction.revision;
      this.#compaction = undefined;
    }
    return this.#finished < this.#compacted;
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

  /**
   * Puts back a version that was read from a checkpoint; they must come in order of revision. @returns what its record says
   * @throws ProtobufError when the record is none
   */
  restore(main: number, sub: number, tombstone: boolean, record: Uint8Array): KeyAndLease {
    const { key, lease } = keyAndLease(record);
    const segment = this.#segments.reserve(storedBytes(record.length));
    const start = segment.used - storedBytes(record.length);
    segment.bytes.set(record, writeHead(segment.bytes, start, record.length, sub));
    this.#add(key, createVersion(main, tombstone, segment, start, this.#tree.get(key)));
    this.#main = Math.max(this.#main, main);
    return { key, lease };
  }

  /** After the last {@link restore}: the compactions that the checkpoint had seen finished and begun, -1 for none. */
  restored(finishedCompactRevision: number, compactRevision: number): void {
    this.#finished = finishedCompactRevision;
    this.#compacted = Math.max(finishedCompactRevision, compactRevision);
    this.#compactedBefore = undefined;
    this.#main = Math.max(this.#main, this.#compacted);
  }

  #append(key: string, head: Version | undefined, tombstone: boolean, record: KeyValue): void {
    const changes = this.#changes;
    assert(changes !== undefined, 'changes happen inside a write');
    const length = KeyValue.size(record);
    const segment = this.#segments.reserve(storedBytes(length));
    const start = segment.used - storedBytes(length);
    KeyValue.write(record, segment.bytes, writeHead(segment.bytes, start, length, changes.length));
    const version = createVersion(this.#main + 1, tombstone, segment, start, head);
    this.#add(key, version);
    changes.push(version);
  }

  #add(key: string, version: Version): void {
    this.#tree.set(key, version);
    this.#log.push(version);
    this.#recordBytes += version.recordBytes;
  }
}
