/**
 * The queue between informers and a controller: a key waits at most once, is never worked on twice at a time, may wait for a time or
 * for an exponential back-off. Bounded by what it holds: one entry a key. Must not know what keys mean.
 */
import type { Clock, Timer } from '#std/clock.ts';

/** Back-off of a key that fails: 5 ms, doubling up to 1000 s, as client-go's default controller rate limiter. */
export const backoffMinMs = 5;
export const backoffMaxMs = 1_000_000;

export class WorkQueue<K = string> implements Disposable {
  readonly #clock: Clock;
  /** Waiting to be taken, in order. */
  readonly #ready = new Set<K>();
  readonly #working = new Set<K>();
  /** Added again while being worked on. */
  readonly #again = new Set<K>();
  readonly #later = new Map<K, { readonly dueMs: number; readonly timer: Timer }>();
  readonly #failures = new Map<K, number>();
  readonly #takers: ((key: K | undefined) => void)[] = [];
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keys ready to be taken. */
  get length(): number {
    return this.#ready.size;
  }

  /** True when nothing waits and nothing is worked on; keys that wait for a time do not count. */
  get idle(): boolean {
    return this.#ready.size === 0 && this.#working.size === 0;
  }

  add(key: K): void {
    if (this.#closed) return;
    if (this.#working.has(key)) {
      this.#again.add(key);
      return;
    }
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#ready.add(key);
      return;
    }
    this.#working.add(key);
    taker(key);
  }

  /** Adds `delayMs` from now; of several times for a key the earliest counts. */
  addAfter(key: K, delayMs: number): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const waiting = this.#later.get(key);
    if (waiting !== undefined && waiting.dueMs <= dueMs) return;
    waiting?.timer[Symbol.dispose]();
    const timer = this.#clock.after(delayMs, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { dueMs, timer });
  }

  /** Adds after a back-off that doubles with every call since {@link forget}. */
  addRateLimited(key: K): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, Math.min(backoffMinMs * 2 ** failures, backoffMaxMs));
  }

  /** How often {@link addRateLimited} was called since {@link forget}. */
  failures(key: K): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: K): void {
    this.#failures.delete(key);
  }

  /** The next key, to be given back with {@link done}; undefined once the queue is closed. */
  take(): Promise<K | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    for (const key of this.#ready) {
      this.#ready.delete(key);
      this.#working.add(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: K): void {
    this.#working.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { timer } of this.#later.values()) timer[Symbol.dispose]();
    this.#later.clear();
    this.#ready.clear();
    this.#again.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }
}
