/** Changes on their way from the cache to one watcher: bounded, so that a reader who stands still is dropped and nobody else waits. */
import type { StatusError } from '#kube-machinery/status.ts';
import type { Clock, Timer } from '#std/clock.ts';
import type { KindChange } from '../storage/kind-cache.ts';

/** Changes that may wait for their reader; beyond it the watch ends and the client begins again. */
export const waitingMax = 10_000;

export class WatchQueue {
  readonly #clock: Clock;
  #waiting: KindChange[] = [];
  #ended = false;
  #error: StatusError | undefined;
  #wake: (() => void) | undefined;
  readonly #onEnd: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the watcher is told before the end. */
  get error(): StatusError | undefined {
    return this.#error;
  }

  push(changes: readonly KindChange[]): void {
    if (this.#ended || changes.length === 0) return;
    if (this.#waiting.length + changes.length > waitingMax) {
      this.end();
      return;
    }
    for (const change of changes) this.#waiting.push(change);
    this.#wake?.();
  }

  /** What waits, or `idle` after `idleMs` without anything, or `ended` when all was taken and no more will come. */
  async take(idleMs: number | undefined): Promise<readonly KindChange[] | 'idle' | 'ended'> {
    if (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        let timer: Timer | undefined;
        this.#wake = () => {
          timer?.[Symbol.dispose]();
          this.#wake = undefined;
          resolve();
        };
        if (idleMs !== undefined) timer = this.#clock.after(idleMs, this.#wake);
      });
    }
    if (this.#waiting.length > 0) {
      const taken = this.#waiting;
      this.#waiting = [];
      return taken;
    }
    return this.#ended ? 'ended' : 'idle';
  }

  /** Ends with an ERROR event. */
  fail(error: StatusError): void {
    if (!this.#ended) this.#error = error;
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const release of this.#onEnd.splice(0)) release();
    this.#wake?.();
  }

  /** Runs `release` at the end, or now if that was before. */
  onEnd(release: () => void): void {
    if (this.#ended) release();
    else this.#onEnd.push(release);
  }
}
