/** When work is given up: its owner stops, or nothing has moved for too long. Leaves no timer and no listener behind. */
import type { Clock, Timer } from '#std/clock.ts';

export class Deadline implements Disposable {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #parent: AbortSignal;
  readonly #controller = new AbortController();
  readonly #onStop = () => this.#controller.abort(this.#parent.reason);
  #movedMs: number;
  #timer: Timer;

  constructor(clock: Clock, timeoutMs: number, parent: AbortSignal) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#parent = parent;
    this.#movedMs = clock.monotonicMs();
    this.#timer = clock.after(timeoutMs, () => this.#check());
    if (parent.aborted) this.#onStop();
    else parent.addEventListener('abort', this.#onStop);
  }

  /** Aborts with the owner's reason, or `i/o timeout`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something has moved: the time starts again. Costs no timer. */
  moved(): void {
    this.#movedMs = this.#clock.monotonicMs();
  }

  /** Why the work failed: the reason of the deadline where that was it. */
  reasonOf(error: unknown): Error {
    if (this.signal.aborted) return this.signal.reason as Error;
    return error instanceof Error ? error : new Error(String(error));
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#parent.removeEventListener('abort', this.#onStop);
  }

  #check(): void {
    const leftMs = this.#movedMs + this.#timeoutMs - this.#clock.monotonicMs();
    if (leftMs <= 0) this.#controller.abort(new Error('i/o timeout'));
    else this.#timer = this.#clock.after(leftMs, () => this.#check());
  }
}
