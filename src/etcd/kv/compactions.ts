/** The physical side of a member's compactions: a piece each turn of the event loop, with a hash of each of them for checks between members. */
import { nextTurn } from '#host/event-loop.ts';
import type { Store } from '#mvcc/store.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { CompactionHashes } from '../maintenance/compaction-hashes.ts';

export interface CompactionPace {
  /** `--compaction-batch-limit`: versions looked at, or a few hundred bytes of them hashed or moved, in one turn. Default: a few milliseconds' worth. */
  readonly versionsPerTurn?: number;
  /** `--compaction-sleep-interval`: how long to do other things in between. Default: a turn of the event loop. */
  readonly pauseMs?: number;
  /** Told of each compaction that is done. */
  readonly onFinished?: (revision: number) => void;
}

const versionsPerTurnDefault = 1000;

export class Compactions implements Disposable {
  readonly hashes = new CompactionHashes();
  readonly #options: CompactionPace & { readonly store: () => Store; readonly clock: Clock };
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  /** @param options `store` may be another one after the leader has sent its state */
  constructor(options: CompactionPace & { readonly store: () => Store; readonly clock: Clock }) {
    this.#options = options;
  }

  /** Begins, where nothing is under way. Resolves when what compactions have left is freed, or the member stops. */
  done(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.#step()) await this.#pause(signal).catch(() => {});
  }

  /** @returns whether there is more to do */
  #step(): boolean {
    const { versionsPerTurn = versionsPerTurnDefault, onFinished } = this.#options;
    const store = this.#options.store();
    const before = store.finishedCompactRevision;
    const more = store.compactStep(versionsPerTurn, (revision, previous) => this.hashes.witness(revision, previous));
    if (store.finishedCompactRevision > before) onFinished?.(store.finishedCompactRevision);
    return more;
  }

  #pause(signal: AbortSignal): Promise<void> {
    const { pauseMs = 0, clock } = this.#options;
    return pauseMs > 0 ? sleep(clock, pauseMs, signal) : nextTurn();
  }
}
