/**
 * The log of one member: stable storage and the unstable tail seen as one, and how far it is committed and applied. It decides nothing about
 * agreement: who calls `commitTo` knows that a majority has the entry.
 *
 * `applied <= applying <= committed <= lastIndex`. From `applied` to `applying` the entries were handed out to be applied; from there
 * to `committed` they wait. How many bytes may be on their way to be applied is limited, so that a member that has fallen far behind does not read
 * its whole log into memory.
 */
import type { Entry, Snapshot } from '#api-etcd/gen/raft.ts';
import { assert, fail } from '#std/assert.ts';
import { entriesBytes } from './entry-size.ts';
import type { RaftLogger } from './logger.ts';
import type { LogStorage } from './storage.ts';
import { UnstableTail } from './unstable.ts';

const noEntries: Entry[] = [];

export class RaftLog {
  readonly #storage: LogStorage;
  readonly #logger: RaftLogger;
  readonly #applyingBytesMax: number;
  readonly unstable: UnstableTail;
  committed: number;
  applying: number;
  applied: number;
  /** Bytes handed out to be applied and not confirmed. */
  #applyingBytes = 0;
  /** Nothing is handed out until something has been applied. */
  #applyingPaused = false;

  constructor(storage: LogStorage, logger: RaftLogger, applyingBytesMax: number) {
    this.#storage = storage;
    this.#logger = logger;
    this.#applyingBytesMax = applyingBytesMax;
    this.unstable = new UnstableTail(storage.lastIndex() + 1, logger);
    // What was compacted away had been applied.
    this.committed = storage.firstIndex() - 1;
    this.applying = this.committed;
    this.applied = this.committed;
  }

  firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.#storage.firstIndex() : snapshot.metadata.index + 1;
  }

  lastIndex(): number {
    return this.unstable.lastIndex() || this.#storage.lastIndex();
  }

  lastTerm(): number {
    const index = this.lastIndex();
    const term = this.term(index);
    if (term === undefined) fail(`unexpected error when getting the last term at ${index}`);
    return term;
  }

  /** Undefined for what was compacted away (but for the last such entry) and for what does not exist yet. */
  term(index: number): number | undefined {
    const unstable = this.unstable.term(index);
    if (unstable !== undefined) return unstable;
    // The storage may still hold what a snapshot or new entries in the tail are about to replace.
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return undefined;
    return this.#storage.term(index);
  }

  /** False for an entry that is not there, or no longer. */
  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends so has at least what this one has (Raft, 5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const ourTerm = this.lastTerm();
    return lastTerm > ourTerm || (lastTerm === ourTerm && lastIndex >= this.lastIndex());
  }

  /** Entries from `index` to the end, within `bytesMax`, one at least if there is one. Undefined when they were compacted away. */
  entries(index: number, bytesMax: number): Entry[] | undefined {
    const last = this.lastIndex();
    return index > last ? noEntries : this.slice(index, last + 1, bytesMax);
  }

  /** Entries from `low` to before `high`, within `bytesMax`, one at least. Undefined when `low` was compacted away. */
  slice(low: number, high: number, bytesMax: number): Entry[] | undefined {
    if (low > high) fail(`invalid slice ${low} > ${high}`);
    const offset = this.unstable.offset;
    if (low >= offset) return this.unstable.slice(low, high, bytesMax);
    if (low < this.firstIndex()) return undefined;
    if (high > this.lastIndex() + 1)
      fail(`slice[${low},${high}) out of bound [${this.firstIndex()},${this.lastIndex()}]`);
    if (low === high) return noEntries;
    const cut = Math.min(high, offset);
    const stable = this.#storage.entries(low, cut, bytesMax);
    if (stable === undefined) return undefined;
    if (stable.length === 0) fail(`entries[${low}:${cut}) is unavailable from storage`);
    if (high <= offset || stable.length < cut - low) return stable;
    const room = bytesMax === Infinity ? Infinity : bytesMax - entriesBytes(stable);
    if (room <= 0) return stable;
    const rest = this.unstable.slice(offset, high, room);
    // The tail always gives one entry; here the stable ones are enough when it does not fit.
    if (rest.length === 1 && room !== Infinity && entriesBytes(rest) > room) return stable;
    return stable.concat(rest);
  }

  /** Our own entries, or a leader's, at the end or over it. What is committed is never overwritten. */
  append(entries: readonly Entry[]): number {
    if (entries.length > 0) {
      const after = entries[0]!.index - 1;
      if (after < this.committed) fail(`after(${after}) is out of range [committed(${this.committed})]`);
      this.unstable.truncateAndAppend(entries);
    }
    return this.lastIndex();
  }

  /**
   * A leader's entries, that follow the entry (`previousIndex`, `previousTerm`): what is new of them is appended, and the commit index
   * moves as far as the leader says and the entries go. Returns the index of the last one, or undefined when our log does not have the
   * entry before them. Entries that are here already are left alone, so that an old message takes nothing away.
   */
  maybeAppend(
    previousIndex: number,
    previousTerm: number,
    entries: readonly Entry[],
    committed: number,
  ): number | undefined {
    if (!this.matchTerm(previousIndex, previousTerm)) return undefined;
    const last = previousIndex + entries.length;
    const conflict = this.#findConflict(entries);
    if (conflict !== 0) {
      if (conflict <= this.committed)
        fail(`entry ${conflict} conflict with committed entry [committed(${this.committed})]`);
      const known = conflict - previousIndex - 1;
      this.append(known === 0 ? entries : entries.slice(known));
    }
    this.commitTo(Math.min(committed, last));
    return last;
  }

  /** The index of the first entry that is not here with this term; 0 when all are. */
  #findConflict(entries: readonly Entry[]): number {
    const last = this.lastIndex();
    for (let i = 0; i < entries.length; i++) {
      const { index, term } = entries[i]!;
      if (index > last) return index;
      const have = this.term(index);
      if (have === term) continue;
      this.#logger.info?.(`found conflict at index ${index} [existing term: ${have ?? 0}, conflicting term: ${term}]`);
      return index;
    }
    return 0;
  }

  /**
   * The highest index up to `index` where this log may agree with one that has an entry of `term` at `index`: terms never go down
   * along a log, so everything of a higher term is out. Also stops where our term is not known.
   */
  findConflictByTerm(index: number, term: number): number {
    for (let at = index; at > 0; at--) {
      const have = this.term(at);
      if (have === undefined || have <= term) return at;
    }
    return 0;
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    if (index > this.lastIndex())
      fail(
        `tocommit(${index}) is out of range [lastIndex(${this.lastIndex()})]. Was the raft log corrupted, truncated, or lost?`,
      );
    this.committed = index;
  }

  /** The newest snapshot; undefined while it is being made. */
  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  /** The whole log is replaced by a snapshot. */
  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.#logger.info?.(`log [${this.describe()}] starts to restore snapshot [index: ${index}, term: ${term}]`);
    this.committed = index;
    this.unstable.restore(snapshot);
  }

  /** Whether something is committed that nobody was told to apply. `allowUnstable`: even what is not on our disk yet. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    // A snapshot is applied before anything after it.
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#appliableTo(allowUnstable);
  }

  /** The next committed entries to apply, as many as the limit leaves room for. */
  nextCommitted(allowUnstable: boolean): Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return noEntries;
    const room = this.#applyingBytesMax - this.#applyingBytes;
    const entries = this.slice(this.applying + 1, this.#appliableTo(allowUnstable) + 1, room);
    assert(entries !== undefined, 'unexpected error when getting unapplied entries (compacted)');
    return entries;
  }

  #appliableTo(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  /** Entries up to `index`, of `bytes`, were handed out to be applied. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    if (index > this.committed)
      fail(`applying(${index}) is out of range [prevApplying(${this.applying}), committed(${this.committed})]`);
    this.applying = index;
    this.#applyingBytes += bytes;
    // Fewer than there were: the next one would have gone over the limit.
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax || index < this.#appliableTo(allowUnstable);
  }

  appliedTo(index: number, bytes: number): void {
    if (index < this.applied || index > this.committed)
      fail(`applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`);
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }

  describe(): string {
    const { offset, offsetInProgress, entries } = this.unstable;
    return `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, unstable.offset=${offset}, unstable.offsetInProgress=${offsetInProgress}, len(unstable.Entries)=${entries.length}`;
  }
}
