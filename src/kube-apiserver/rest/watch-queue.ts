/** Changes on their way from the cache to one watcher: bounded, so that a reader who stands still is dropped and nobody else waits. */
import type { StatusError } from '#kube-machinery/status.ts';
import type { KindChange } from '../storage/kind-cache.ts';

/** Changes that may wait for their reader; beyond it the watch ends and the client begins again. */
export const waitingMax = 10_000;

export class WatchQueue {
  #waiting: KindChange[] = [];
  #ended = false;
  #error: StatusError | undefined;
  #wake: (() => void) | undefined;
  readonly #onEnd: (() => void)[] = [];

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

  /** What waits; `idle` when a bookmark is due and nothing waits; `ended` when all was taken and no more will come. */
  async take(): Promise<readonly KindChange[] | 'idle' | 'ended'> {
    if (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = () => {
          this.#wake = undefined;
          resolve();
        };
      });
    }
    if (this.#waiting.length > 0) {
      const taken = this.#waiting;
      this.#waiting = [];
      return taken;
    }
    return this.#ended ? 'ended' : 'idle';
  }

  /** Has whoever waits take `idle`. */
  nudge(): void {
    this.#wake?.();
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
