/**
 * The stable log as raft reads it: what is on disk, or as good as. Raft never writes: it hands out what is to be written
 * (`ready.ts`), and the caller writes. The calls are synchronous, so an implementation keeps in memory what raft may ask for, that is,
 * the entries since the last compaction.
 */
import type { ConfState, Entry, HardState, Snapshot } from '#api-etcd/gen/raft.ts';

export interface InitialState {
  /** All zero when nothing was ever written. */
  readonly hardState: HardState;
  /** The configuration as of what has been applied. Without members when nothing was ever written. */
  readonly confState: ConfState;
}

export interface LogStorage {
  initialState(): InitialState;
  /**
   * Entries from `low` up to, but not including, `high`, as many as have at most `bytesMax` bytes together (their encoded size), but at
   * least one. Undefined when `low` was compacted away. The array belongs to the caller, entries and data are shared and immutable.
   */
  entries(low: number, high: number, bytesMax: number): Entry[] | undefined;
  /**
   * The term of an entry from firstIndex-1 to lastIndex: that of the last compacted entry is still known. Undefined outside of that.
   */
  term(index: number): number | undefined;
  /** The first entry that `entries` may have; lastIndex+1 for an empty log. */
  firstIndex(): number;
  lastIndex(): number;
  /** The newest snapshot; undefined while it is being made: raft asks again later. */
  snapshot(): Snapshot | undefined;
}
