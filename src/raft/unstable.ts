/**
 * The end of the log that is not known to be on disk: entries, or a snapshot that replaces the log. Part of it is being written: it was
 * handed out and has not been confirmed. Raft reads the log through here first, so that it never waits for the disk to know its own log.
 *
 * Entry `index` stands at `entries[index - offset]`. The disk may hold older entries at and after `offset`: they are about to be
 * overwritten.
 */
import type { Entry, Snapshot } from '#api-etcd/gen/raft.ts';
import { fail } from '#std/assert.ts';
import { sliceWithin } from './entry-size.ts';
import type { RaftLogger } from './logger.ts';

export class UnstableTail {
  snapshot: Snapshot | undefined = undefined;
  entries: Entry[] = [];
  /** The index of the first entry here, or of the one that will be. */
  offset: number;
  /** Entries before this are being written, or were. */
  offsetInProgress: number;
  #snapshotInProgress = false;
  readonly #logger: RaftLogger;

  constructor(offset: number, logger: RaftLogger) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#logger = logger;
  }

  /** The last index, or 0 when there is nothing here. */
  lastIndex(): number {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snapshot === undefined ? 0 : this.snapshot.metadata.index;
  }

  /** The term of an entry, or of the snapshot's last one; undefined for what is not here. */
  term(index: number): number | undefined {
    if (index >= this.offset) return this.entries[index - this.offset]?.term;
    const metadata = this.snapshot?.metadata;
    return metadata?.index === index ? metadata.term : undefined;
  }

  /** Entries from `low` to before `high`, all of which are here, within `bytesMax`: see `sliceWithin`. */
  slice(low: number, high: number, bytesMax: number): Entry[] {
    const end = this.offset + this.entries.length;
    if (low < this.offset || low > high || high > end)
      fail(`unstable.slice[${low},${high}) out of bound [${this.offset},${end}]`);
    return sliceWithin(this.entries, low - this.offset, high - this.offset, bytesMax);
  }

  get hasNextEntries(): boolean {
    return this.offsetInProgress - this.offset < this.entries.length;
  }

  /** What has not been handed out yet. */
  nextEntries(): Entry[] {
    return this.entries.slice(this.offsetInProgress - this.offset);
  }

  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.snapshot;
  }

  /** Everything that is here has been handed out to be written. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.entries.length;
    if (this.snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Everything up to this entry is on disk, and no write under way can undo it. Ignored when the entry is no longer the one that is here: the
   * tail was replaced while it was being written.
   */
  stableTo(index: number, term: number): void {
    const have = this.term(index);
    if (have === undefined) {
      this.#logger.chatter?.(`entry at index ${index} missing from unstable log; ignoring`);
      return;
    }
    if (index < this.offset) {
      this.#logger.info?.(`entry at index ${index} matched unstable snapshot; ignoring`);
      return;
    }
    if (have !== term) {
      this.#logger.info?.(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${have}) in unstable log; ignoring`,
      );
      return;
    }
    const count = index + 1 - this.offset;
    this.entries = count === this.entries.length ? [] : this.entries.slice(count);
    this.offset = index + 1;
    this.offsetInProgress = Math.max(this.offsetInProgress, this.offset);
  }

  /** The snapshot of this index is on disk. */
  stableSnapshotTo(index: number): void {
    if (this.snapshot?.metadata.index !== index) return;
    this.snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** The whole log is replaced by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.offsetInProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Adds entries, over whatever is at the index of the first one and after. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = entries[0]!.index;
    if (from <= this.offset && from !== this.offset + this.entries.length) {
      this.#logger.info?.(`replace the unstable entries from index ${from}`);
      this.entries = [];
      this.offset = from;
      this.offsetInProgress = from;
    } else if (from < this.offset + this.entries.length) {
      this.#logger.info?.(`truncate the unstable entries before index ${from}`);
      this.entries.length = from - this.offset;
      this.offsetInProgress = Math.min(this.offsetInProgress, from);
    }
    for (let i = 0; i < entries.length; i++) this.entries.push(entries[i]!);
  }
}
