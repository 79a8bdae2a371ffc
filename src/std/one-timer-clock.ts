/**
 * All timers of one owner behind one timer of another clock, the next that is due: an idle cluster costs its process one timer, however many
 * deadlines it keeps, and closing it leaves none.
 */
import type { Clock, Timer } from './clock.ts';
import { TimerHeap } from './timer-heap.ts';

export class OneTimerClock implements Clock, Disposable {
  readonly #base: Clock;
  readonly #timers = new TimerHeap();
  #armed: { readonly atMs: number; readonly timer: Timer } | undefined;

  constructor(base: Clock) {
    this.#base = base;
  }

  now(): number {
    return this.#base.now();
  }

  monotonicMs(): number {
    return this.#base.monotonicMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = this.#timers.add(this.#base.monotonicMs() + Math.max(0, delayMs), callback, this.#disarmIfNone);
    this.#arm();
    return timer;
  }

  /** How many timers are pending. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Cancels whatever is pending. */
  [Symbol.dispose](): void {
    this.#timers.clear();
    this.#disarmIfNone();
  }

  /** A timer that was cancelled may leave the base's armed for nothing: it then fires, finds nothing due, and arms the next. */
  readonly #disarmIfNone = (): void => {
    if (this.#timers.size > 0) return;
    this.#armed?.timer[Symbol.dispose]();
    this.#armed = undefined;
  };

  #arm(): void {
    const atMs = this.#timers.nextAtMs;
    if (atMs === undefined || (this.#armed !== undefined && this.#armed.atMs <= atMs)) return;
    this.#armed?.timer[Symbol.dispose]();
    const timer = this.#base.after(Math.max(0, atMs - this.#base.monotonicMs()), this.#fire);
    this.#armed = { atMs, timer };
  }

  readonly #fire = (): void => {
    // Timers of the machine may come a fraction of a millisecond early; what was armed for is due.
    const untilMs = Math.max(this.#armed!.atMs, this.#base.monotonicMs());
    this.#armed = undefined;
    try {
      for (let due = this.#timers.takeDue(untilMs); due !== undefined; due = this.#timers.takeDue(untilMs))
        due.callback();
    } finally {
      this.#arm();
    }
  };
}
