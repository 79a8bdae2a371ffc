/**
 * A clock that moves only when told to. Timers fire in order of their due time, then of their creation,
 * so that one program and one seed always give one order. Between two timers the microtask queue drains.
 */
import type { Clock, Timer } from './clock.ts';
import { TimerHeap } from './timer-heap.ts';

export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #epochMs: number;
  readonly #timers = new TimerHeap();

  /** @param epochMs wall time at the start; the default is an arbitrary fixed day, so that runs repeat. */
  constructor(epochMs = 1_767_225_600_000) {
    this.#epochMs = epochMs;
  }

  now(): number {
    return Math.floor(this.#epochMs + this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#timers.add(this.#nowMs + Math.max(0, delayMs), callback);
  }

  /** How many timers are pending; a disposed component leaves none. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Time until the next timer in ms, or undefined when nothing is scheduled. */
  get nextInMs(): number | undefined {
    const { nextAtMs } = this.#timers;
    return nextAtMs === undefined ? undefined : nextAtMs - this.#nowMs;
  }

  /**
   * Moves time forward by `ms`, firing every timer on the way. `settle` runs first, after each timer and at the
   * end: it returns once the work the timer started has come to rest (a few turns of the event loop, say). Of calls that overlap, the one that
   * goes farthest says where time ends; it never goes back.
   */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (let due = this.#timers.takeDue(untilMs); due !== undefined; due = this.#timers.takeDue(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
      await settle();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}
