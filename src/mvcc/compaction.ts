/**
 * The physical side of a compaction: walks the log a piece at a time, cuts off what no reader needs any more, and builds the log that
 * is left. Between pieces the store is read and written as usual; no piece is longer for a larger store.
 */
import type { KeyTree } from './key-tree.ts';
import { isMostlyDead, type SegmentWriter } from './segments.ts';
import { SharedLog } from './shared-log.ts';
import { createVersion, type Version } from './version.ts';

/** What a compaction works on; the store's own, and changing under it. */
export interface CompactionTarget {
  readonly tree: KeyTree;
  readonly log: SharedLog<Version>;
  readonly segments: SegmentWriter;
  /** Versions up to this revision are shared with a fork and may not be changed. */
  readonly sharedUpTo: number;
}

/** Sees what a compaction sees: every version up to its revision, in order, before it is dropped. */
export interface CompactionWitness {
  sees(version: Version, isKept: boolean): void;
  /** The compaction is done. */
  done(): void;
}

/** Moving this much of a record, or showing it to a witness, counts as looking at a version. */
const bytesPerVersion = 512;
/**
 * What a key keeps is found again for each of its old versions, past the newer ones; where these are more, it is remembered. A table of all
 * keys would stop everything each time that it grows.
 */
const newerVersionsMax = 32;

export class Compaction {
  readonly revision: number;
  readonly #witness: CompactionWitness | undefined;
  /** Bytes of records dropped since last asked. */
  #droppedBytes = 0;
  #at = 0;
  #vacuumed = 0;
  readonly #left = new SharedLog<Version>();
  /** Of keys with many newer versions: the oldest one that each keeps; undefined when nothing of it before the revision stays. */
  readonly #kept = new Map<string, Version | undefined>();
  /** Copies of versions after the revision that a fork needs as they were. */
  readonly #copies = new Map<Version, Version>();

  constructor(revision: number, witness?: CompactionWitness) {
    this.revision = revision;
    this.#witness = witness;
  }

  takeDroppedBytes(): number {
    const bytes = this.#droppedBytes;
    this.#droppedBytes = 0;
    return bytes;
  }

  /** Looks at up to `versionsMax` versions, or moves as much as that takes. @returns the log that is left, once it is complete */
  step(target: CompactionTarget, versionsMax: number): SharedLog<Version> | undefined {
    for (let budget = versionsMax; budget > 0; budget--) {
      const seenBytes = this.#lookAtNext(target);
      if (seenBytes !== undefined) {
        if (this.#witness !== undefined) budget -= seenBytes / bytesPerVersion;
        continue;
      }
      // All drops are done: what is mostly dead is known.
      if (this.#vacuumed < this.#left.length)
        budget -= vacuum(this.#left.at(this.#vacuumed++), target.segments) / bytesPerVersion;
      else if (this.#at < target.log.length) {
        const version = target.log.at(this.#at++);
        this.#left.push(this.#copies.get(version) ?? version);
      } else {
        this.#witness?.done();
        return this.#left;
      }
    }
    return undefined;
  }

  /** @returns bytes of the record; undefined when no more versions are old enough to be dropped */
  #lookAtNext(target: CompactionTarget): number | undefined {
    const { log } = target;
    const version = this.#at < log.length ? log.at(this.#at) : undefined;
    if (version === undefined || version.main > this.revision) return undefined;
    this.#at++;
    const kept = this.#keptOf(target, version.key);
    const bytes = version.recordBytes;
    // It may be a copy.
    const isKept = kept?.main === version.main && kept.sub === version.sub;
    this.#witness?.sees(version, isKept);
    if (isKept) this.#left.push(kept);
    else {
      version.segment.live -= version.storedBytes;
      this.#droppedBytes += bytes;
    }
    return bytes;
  }

  /** The oldest version that stays of a key. What is before it is cut off when the key is met first. */
  #keptOf(target: CompactionTarget, key: string): Version | undefined {
    const known = this.#kept.get(key);
    if (known !== undefined || this.#kept.has(key)) return known;
    const { revision } = this;
    const newest = target.tree.get(key);
    let above: Version | undefined;
    let newer = 0;
    let oldest = newest;
    for (; oldest !== undefined && oldest.main > revision; oldest = oldest.previous) {
      above = oldest;
      newer++;
    }
    // A delete at the very revision stays: whoever watches from there must see it.
    let kept = oldest?.tombstone && oldest.main !== revision ? undefined : oldest;
    if (kept === undefined) {
      if (oldest !== undefined && above === undefined) target.tree.delete(key);
      else if (oldest !== undefined) this.#cut(target, newest!, above!);
    } else if (kept.previous !== undefined) kept = this.#cut(target, newest!, kept);
    if (newer > newerVersionsMax) this.#kept.set(key, kept);
    return kept;
  }

  /** Takes what is before `last` off a key's chain. @returns the version that stands last in it now: itself, or its copy */
  #cut({ tree, sharedUpTo }: CompactionTarget, newest: Version, last: Version): Version {
    if (last.main > sharedUpTo) {
      last.previous = undefined;
      return last;
    }
    // A fork still needs the chain as it is: this store gets copies of what they share of it.
    const shared: Version[] = [];
    let own: Version | undefined;
    for (let version: Version = newest; ; version = version.previous!) {
      if (version.main > sharedUpTo) own = version;
      else shared.push(version);
      if (version === last) break;
    }
    let below: Version | undefined;
    let end: Version | undefined;
    for (const version of shared.reverse()) {
      const { main, tombstone, segment, start } = version;
      below = createVersion(main, tombstone, segment, start, below);
      end ??= below;
      if (main > this.revision) this.#copies.set(version, below);
    }
    if (own === undefined) tree.set(below!.key, below!);
    else own.previous = below;
    return end!;
  }
}

/** @returns how many bytes had to be moved */
function vacuum(version: Version, segments: SegmentWriter): number {
  const { segment, start } = version;
  if (!isMostlyDead(segment)) return 0;
  const length = version.storedBytes;
  const fresh = segments.reserve(length);
  const target = fresh.used - length;
  segment.bytes.copy(fresh.bytes, target, start, start + length);
  version.moveTo(fresh, target);
  segment.live -= length;
  return length;
}
