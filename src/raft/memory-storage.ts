/**
 * A stable log in memory: for tests, traces and groups that need not survive. Also an example of what a storage does with what raft hands
 * out. It keeps one snapshot, and the entries after the last compaction, which may be older than the snapshot.
 */
import { type ConfState, type Entry, HardState, Snapshot } from '#api-etcd/gen/raft.ts';
import { fail } from '#std/assert.ts';
import { sliceWithin } from './entry-size.ts';
import { RaftError } from './error.ts';
import type { InitialState, LogStorage } from './storage.ts';

export class MemoryStorage implements LogStorage {
  #hardState = HardState.create();
  #snapshot = Snapshot.create();
  /** The last entry that was compacted away: its term is needed to append after it. */
  #compactedIndex = 0;
  #compactedTerm = 0;
  /** Those after it. */
  #entries: Entry[] = [];

  initialState(): InitialState {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  entries(low: number, high: number, bytesMax: number): Entry[] | undefined {
    if (low <= this.#compactedIndex) return undefined;
    if (high > this.lastIndex() + 1) fail(`entries' hi(${high}) is out of bound lastindex(${this.lastIndex()})`);
    const first = this.firstIndex();
    return sliceWithin(this.#entries, low - first, high - first, bytesMax);
  }

  term(index: number): number | undefined {
    if (index === this.#compactedIndex) return this.#compactedTerm;
    return this.#entries[index - this.#compactedIndex - 1]?.term;
  }

  firstIndex(): number {
    return this.#compactedIndex + 1;
  }

  lastIndex(): number {
    return this.#compactedIndex + this.#entries.length;
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** Writes entries, over whatever was at their index and after. What has been compacted is not written again. */
  append(entries: readonly Entry[]): void {
    const first = this.firstIndex();
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.index < first) continue;
      const at = entry.index - first;
      if (at > this.#entries.length)
        fail(`missing log entry [last: ${this.lastIndex()}, append at: ${entries[0]!.index}]`);
      if (at < this.#entries.length) this.#entries.length = at;
      this.#entries.push(entry);
    }
  }

  /** The log begins anew after `snapshot`. An error when there is a newer one. */
  applySnapshot(snapshot: Snapshot): RaftError | undefined {
    const { index, term } = snapshot.metadata;
    const have = this.#snapshot.metadata.index;
    // A group that was only given its members has a snapshot of index 0, and that is older than any.
    if (have !== 0 && have >= index) return new RaftError('snapshot-out-of-date');
    this.#snapshot = snapshot;
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    this.#entries = [];
    return undefined;
  }

  /** Notes a snapshot of the state as of `index`; without `confState` the members are those of the snapshot before. */
  createSnapshot(index: number, confState: ConfState | undefined, data: Uint8Array | undefined): Snapshot | RaftError {
    const before = this.#snapshot.metadata;
    if (index <= before.index) return new RaftError('snapshot-out-of-date');
    const term = this.term(index);
    if (term === undefined) fail(`snapshot ${index} is out of bound lastindex(${this.lastIndex()})`);
    this.#snapshot = { data, metadata: { confState: confState ?? before.confState, index, term } };
    return this.#snapshot;
  }

  /** Forgets the entries up to `index`, which has been applied. */
  compact(index: number): RaftError | undefined {
    if (index <= this.#compactedIndex) return new RaftError('compacted');
    const term = this.term(index);
    if (term === undefined) fail(`compact ${index} is out of bound lastindex(${this.lastIndex()})`);
    this.#entries = this.#entries.slice(index - this.#compactedIndex);
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    return undefined;
  }
}
