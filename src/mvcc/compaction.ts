/**
 * The physical side of a compaction: walks the log a piece at a time, cuts off what no reader needs any more, and builds the log that
 * is left. Between pieces the store is read and written as usual.
 */
import type { KeyTree } from './key-tree.ts';
import { isMostlyDead, type SegmentWriter } from './segments.ts';
import { SharedLog } from './shared-log.ts';
import { Version, versionAt } from './version.ts';

/** What a compaction works on; the store's own, and changing under it. */
export interface CompactionTarget {
  readonly tree: KeyTree;
  readonly log: SharedLog<Version>;
  readonly segments: SegmentWriter;
  /** Versions up to this revision are shared with a fork and may not be changed. */
  readonly sharedUpTo: number;
}

export class Compaction {
  readonly revision: number;
  /** Bytes of records dropped since last asked. */
  #droppedBytes = 0;
  #at = 0;
  #vacuumed = 0;
  readonly #left: Version[] = [];
  /** The oldest version that each key keeps, of the keys seen so far; undefined when nothing of it before the revision stays. */
  readonly #kept = new Map<string, Version | undefined>();
  /** Copies of versions that a fork needs as they were. */
  readonly #copies = new Map<Version, Version>();

  constructor(revision: number) {
    this.revision = revision;
  }

  takeDroppedBytes(): number {
    const bytes = this.#droppedBytes;
    this.#droppedBytes = 0;
    return bytes;
  }

  /** Looks at up to `versionsMax` versions. @returns the log that is left, once it is complete */
  step(target: CompactionTarget, versionsMax: number): SharedLog<Version> | undefined {
    const { log } = target;
    for (let i = 0; i < versionsMax; i++) {
      const version = this.#at < log.length ? log.at(this.#at) : undefined;
      if (version === undefined || version.main > this.revision) return this.#finish(target, versionsMax - i);
      this.#at++;
      const kept = this.#keptOf(target, version.key);
      if (kept === version) this.#left.push(version);
      else {
        const bytes = version.end - version.start;
        version.segment.live -= bytes;
        this.#droppedBytes += bytes;
      }
    }
    return undefined;
  }

  /** All drops are done: moves records out of segments that are mostly dead, then hands over. */
  #finish({ log, segments }: CompactionTarget, versionsMax: number): SharedLog<Version> | undefined {
    for (let i = 0; i < versionsMax && this.#vacuumed < this.#left.length; i++)
      vacuum(this.#left[this.#vacuumed++]!, segments);
    if (this.#vacuumed < this.#left.length) return undefined;
    for (let i = this.#at; i < log.length; i++) this.#left.push(log.at(i));
    if (this.#copies.size > 0)
      for (const [i, version] of this.#left.entries()) this.#left[i] = this.#copies.get(version) ?? version;
    return new SharedLog(this.#left);
  }

  #keptOf(target: CompactionTarget, key: string): Version | undefined {
    const known = this.#kept.get(key);
    if (known !== undefined || this.#kept.has(key)) return known;
    const { revision } = this;
    const newest = target.tree.get(key);
    const oldest = versionAt(newest, revision);
    // A delete at the very revision stays: whoever watches from there must see it.
    const kept = oldest === undefined || (oldest.tombstone && oldest.main !== revision) ? undefined : oldest;
    this.#kept.set(key, kept);
    const tail = kept === undefined ? oldest : kept.previous;
    if (tail !== undefined) this.#cut(target, newest!, tail);
    return kept;
  }

  /** Takes `tail` and what is before it off a key's chain. */
  #cut({ tree, sharedUpTo }: CompactionTarget, newest: Version, tail: Version): void {
    if (tail === newest) {
      tree.delete(tail.key);
      return;
    }
    let above = newest;
    while (above.previous !== tail) above = above.previous!;
    if (above.main > sharedUpTo) {
      above.previous = undefined;
      return;
    }
    // A fork still needs the tail: this store gets copies of what stands before it.
    const chain: Version[] = [];
    for (let version: Version = newest; ; version = version.previous!) {
      chain.push(version);
      if (version === above) break;
    }
    let below: Version | undefined;
    for (const version of chain.reverse()) {
      const { key, main, sub, tombstone, segment, start, end } = version;
      below = new Version(key, main, sub, tombstone, below, segment, start, end);
      this.#copies.set(version, below);
    }
    tree.set(below!);
  }
}

function vacuum(version: Version, segments: SegmentWriter): void {
  const { segment, start, end } = version;
  if (!isMostlyDead(segment)) return;
  const length = end - start;
  const fresh = segments.reserve(length);
  segment.bytes.copy(fresh.bytes, fresh.used - length, start, end);
  version.segment = fresh;
  version.end = fresh.used;
  version.start = fresh.used - length;
  segment.live -= length;
}
