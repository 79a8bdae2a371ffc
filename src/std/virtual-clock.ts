/**
 * A clock that moves only when told to. Timers fire in order of their due time, then of their creation,
 * so that one program and one seed always give one order. Between two timers the microtask queue drains.
 */
import type { Clock, Timer } from './clock.ts';

interface Due {
  readonly atMs: number;
  readonly sequence: number;
  readonly callback: () => void;
  cancelled: boolean;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #epochMs: number;
  #sequence = 0;
  /** Binary min-heap by (atMs, sequence). */
  readonly #heap: Due[] = [];

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
    const due: Due = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      callback,
      cancelled: false,
    };
    this.#push(due);
    return {
      [Symbol.dispose]: () => {
        due.cancelled = true;
      },
    };
  }

  /** How many timers are pending; a disposed component leaves none. */
  get pending(): number {
    return this.#heap.reduce((count, due) => count + (due.cancelled ? 0 : 1), 0);
  }

  /** Time until the next timer in ms, or undefined when nothing is scheduled. */
  get nextInMs(): number | undefined {
    this.#dropCancelled();
    const next = this.#heap[0];
    return next === undefined ? undefined : next.atMs - this.#nowMs;
  }

  /**
   * Moves time forward by `ms`, firing every timer on the way. `settle` runs first, after each timer and at the
   * end: it returns once the work the timer started has come to rest (a few turns of the event loop, say).
   */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      this.#dropCancelled();
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.#nowMs = next.atMs;
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled) this.#pop();
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!before(heap[child]!, heap[parent]!)) break;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      child = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const left = 2 * parent + 1;
      const right = left + 1;
      let least = parent;
      if (left < heap.length && before(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && before(heap[right]!, heap[least]!)) least = right;
      if (least === parent) return;
      [heap[parent], heap[least]] = [heap[least]!, heap[parent]!];
      parent = least;
    }
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
