/**
 * Timers by due time, then by creation: a binary heap whose entries know their places, so that cancelling takes one out at once. Most timers are
 * deadlines that never come due; none of them may stay behind until it would have.
 */
import type { Timer } from './clock.ts';

export class TimerHeap {
  readonly #heap: Entry[] = [];
  #sequence = 0;

  /** Timers that are neither fired nor cancelled. */
  get size(): number {
    return this.#heap.length;
  }

  /** When the first one is due, in the caller's milliseconds. */
  get nextAtMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  /** @param onCancel told after a timer was cancelled before it fired */
  add(atMs: number, callback: () => void, onCancel?: () => void): Timer {
    const heap = this.#heap;
    const entry: Entry = { atMs, sequence: this.#sequence++, callback, place: heap.length };
    heap.push(entry);
    this.#up(entry);
    return {
      [Symbol.dispose]: () => {
        if (entry.place < 0) return;
        this.#remove(entry);
        onCancel?.();
      },
    };
  }

  /** Takes the first timer out if it is due by `untilMs`. @returns its due time and callback */
  takeDue(untilMs: number): { readonly atMs: number; readonly callback: () => void } | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > untilMs) return undefined;
    this.#remove(first);
    return first;
  }

  clear(): void {
    for (const entry of this.#heap.splice(0)) entry.place = -1;
  }

  #remove(entry: Entry): void {
    const heap = this.#heap;
    const { place } = entry;
    entry.place = -1;
    const last = heap.pop()!;
    if (last === entry) return;
    last.place = place;
    heap[place] = last;
    this.#up(last);
    this.#down(last);
  }

  #up(entry: Entry): void {
    const heap = this.#heap;
    while (entry.place > 0) {
      const parent = heap[(entry.place - 1) >> 1]!;
      if (!before(entry, parent)) return;
      swap(heap, entry, parent);
    }
  }

  #down(entry: Entry): void {
    const heap = this.#heap;
    for (;;) {
      const left = heap[2 * entry.place + 1];
      if (left === undefined) return;
      const right = heap[2 * entry.place + 2];
      const least = right !== undefined && before(right, left) ? right : left;
      if (!before(least, entry)) return;
      swap(heap, entry, least);
    }
  }
}

interface Entry {
  readonly atMs: number;
  readonly sequence: number;
  readonly callback: () => void;
  /** Index in the heap; -1 once out of it. */
  place: number;
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

function swap(heap: Entry[], a: Entry, b: Entry): void {
  const { place } = a;
  a.place = b.place;
  b.place = place;
  heap[a.place] = a;
  heap[b.place] = b;
}
