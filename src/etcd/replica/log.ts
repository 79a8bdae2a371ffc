/**
 * The log as Raft reads it: the entries that are on disk, as far back as a follower may still need them. The disk is `log-writer.ts`'s business;
 * what is here has been written already. How far back it reaches is bounded in entries and in bytes: a follower that lags further gets
 * the state instead.
 */
import type { ConfState, Entry, HardState, Snapshot } from '#api-etcd/gen/raft.ts';
import { sliceWithin } from '#raft/entry-size.ts';
import type { InitialState, LogStorage } from '#raft/storage.ts';
import { assert } from '#std/assert.ts';

/** Entries behind the newest applied one that are kept for followers. Upstream's figure. */
export const catchUpEntriesDefault = 5000;
const catchUpBytesMax = 64 << 20;
/** A member alone keeps what it has applied only because forgetting costs something, too. */
const aloneBytesMax = 4 << 20;
/** Forgetting moves what stays: not for every entry, but for a part of what is kept. */
const trimShare = 0.2;

/** Where in the log something stands. */
export interface LogPlace {
  readonly index: number;
  readonly term: number;
}

export interface ReplicaLogOptions {
  readonly hardState: HardState;
  /** As of the state that was saved. */
  readonly confState: ConfState;
  /** What stands before the first of `entries`. */
  readonly before: LogPlace;
  readonly entries: readonly Entry[];
  /** Default {@link catchUpEntriesDefault}. */
  readonly catchUpEntries?: number;
  /** The state as it is now, for a follower that lags too far behind. */
  readonly snapshot: () => Snapshot;
}

export class ReplicaLog implements LogStorage {
  readonly #initial: InitialState;
  readonly #snapshot: () => Snapshot;
  readonly #catchUpEntries: number;
  #before: LogPlace;
  #entries: Entry[];
  #bytes: number;

  constructor(options: ReplicaLogOptions) {
    const { hardState, confState, before, entries, snapshot } = options;
    this.#catchUpEntries = options.catchUpEntries ?? catchUpEntriesDefault;
    this.#initial = { hardState, confState };
    this.#snapshot = snapshot;
    this.#before = before;
    this.#entries = [...entries];
    this.#bytes = bytesOf(entries, 0, entries.length);
  }

  initialState(): InitialState {
    return this.#initial;
  }

  entries(low: number, high: number, bytesMax: number): Entry[] | undefined {
    const first = this.firstIndex();
    return low < first ? undefined : sliceWithin(this.#entries, low - first, high - first, bytesMax);
  }

  term(index: number): number | undefined {
    const { index: before, term } = this.#before;
    return index === before ? term : this.#entries[index - before - 1]?.term;
  }

  firstIndex(): number {
    return this.#before.index + 1;
  }

  lastIndex(): number {
    return this.#before.index + this.#entries.length;
  }

  snapshot(): Snapshot {
    return this.#snapshot();
  }

  /** Entries that have been written, over whatever was at their index and after. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const at = first.index - this.firstIndex();
    assert(at >= 0 && at <= this.#entries.length, `entry ${first.index} does not follow ${this.lastIndex()}`);
    if (at < this.#entries.length) {
      this.#bytes -= bytesOf(this.#entries, at, this.#entries.length);
      this.#entries.length = at;
    }
    for (const entry of entries) this.#entries.push(entry);
    this.#bytes += bytesOf(entries, 0, entries.length);
  }

  /** The log begins anew after a state that came from the leader. */
  restart(place: LogPlace): void {
    this.#before = place;
    this.#entries = [];
    this.#bytes = 0;
  }

  /**
   * Forgets what nobody needs: now and then, but at once when what is kept is heavy, however few entries it is.
   * @param hasFollowers nobody else needs what has been applied here
   */
  trim(appliedIndex: number, hasFollowers: boolean): void {
    const applied = appliedIndex - this.#before.index;
    const isHeavy = this.#bytes > (hasFollowers ? catchUpBytesMax : aloneBytesMax);
    let keep = hasFollowers ? Math.min(this.#catchUpEntries, applied) : 0;
    // Down to less than the limit, so that the next entry does not make it count again.
    if (isHeavy && keep > 0) keep = this.#fitting(applied, keep, catchUpBytesMax * (1 - trimShare));
    const count = applied - keep;
    if (count <= 0 || (!isHeavy && count < this.#catchUpEntries * trimShare)) return;
    const { index, term } = this.#entries[count - 1]!;
    this.#bytes -= bytesOf(this.#entries, 0, count);
    this.#entries = this.#entries.slice(count);
    this.#before = { index, term };
  }

  /** How many of the last `keep` of the first `applied` entries fit in `bytesMax`, beside those that are not applied. */
  #fitting(applied: number, keep: number, bytesMax: number): number {
    let bytes = bytesOf(this.#entries, applied, this.#entries.length);
    let fits = 0;
    for (; fits < keep; fits++) {
      bytes += this.#entries[applied - 1 - fits]!.data?.length ?? 0;
      if (bytes > bytesMax) break;
    }
    return fits;
  }
}

function bytesOf(entries: readonly Entry[], from: number, to: number): number {
  let bytes = 0;
  for (let i = from; i < to; i++) bytes += entries[i]!.data?.length ?? 0;
  return bytes;
}
