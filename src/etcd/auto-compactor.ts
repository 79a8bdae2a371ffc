/**
 * Compacts by itself, for clusters whose clients do not (kube-apiserver does): so that a given time of history stays, or a given number of
 * revisions. Off unless asked for. (upstream: server/etcdserver/api/v3compactor)
 */
import { isEtcdError } from '#api-etcd/errors.ts';
import type { Clock, Timer } from '#std/clock.ts';
import type { Member } from './member.ts';

export type AutoCompaction =
  | { readonly mode: 'periodic'; readonly retentionMs: number }
  | { readonly mode: 'revision'; readonly retentionRevisions: number };

const hourMs = 60 * 60_000;
/** How often the mode by revisions looks. */
const revisionIntervalMs = 5 * 60_000;
/** Looks in the time of one compaction, in the mode by time. */
const looksPerCompaction = 10;

export class AutoCompactor implements Disposable {
  readonly #member: Member;
  readonly #clock: Clock;
  readonly #settings: AutoCompaction;
  readonly #onFailed: (error: unknown) => void;
  /** Revisions at the last looks, one retention of them: the first is as old as history is to be. */
  readonly #seen: number[] = [];
  #lastRevision = 0;
  #lastMs: number;
  #waitMs: number;
  #timer: Timer | undefined;

  constructor(options: {
    readonly member: Member;
    readonly clock: Clock;
    readonly settings: AutoCompaction;
    readonly onFailed: (error: unknown) => void;
  }) {
    this.#member = options.member;
    this.#clock = options.clock;
    this.#settings = options.settings;
    this.#onFailed = options.onFailed;
    this.#lastMs = options.clock.monotonicMs();
    // The first compaction comes after a whole retention, the next ones every hour at least.
    this.#waitMs = options.settings.mode === 'periodic' ? options.settings.retentionMs : revisionIntervalMs;
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  get #lookMs(): number {
    const { mode } = this.#settings;
    return mode === 'periodic' ? Math.min(this.#settings.retentionMs, hourMs) / looksPerCompaction : revisionIntervalMs;
  }

  #look(): void {
    const { revision } = this.#member.store;
    this.#seen.push(revision);
    if (this.#settings.mode === 'periodic') {
      const kept = Math.floor(this.#settings.retentionMs / this.#lookMs) + 1;
      if (this.#seen.length > kept) this.#seen.shift();
    } else this.#seen.splice(0, this.#seen.length - 1);
    this.#timer = this.#clock.after(this.#lookMs, () => {
      const target =
        this.#settings.mode === 'periodic'
          ? this.#seen[0]!
          : this.#member.store.revision - this.#settings.retentionRevisions;
      const due = this.#clock.monotonicMs() - this.#lastMs >= this.#waitMs;
      if (due && target > 0 && target !== this.#lastRevision) this.#compact(target);
      this.#look();
    });
  }

  #compact(revision: number): void {
    if (this.#settings.mode === 'periodic') this.#waitMs = Math.min(this.#settings.retentionMs, hourMs);
    const compacted = async () => this.#member.propose({ compaction: { revision, physical: false } });
    compacted()
      .catch((error: unknown) => {
        // Somebody else was faster: as good.
        if (!isEtcdError(error, 'compacted')) throw error;
      })
      .then(() => {
        this.#lastRevision = revision;
        this.#lastMs = this.#clock.monotonicMs();
      })
      .catch(this.#onFailed);
  }
}
