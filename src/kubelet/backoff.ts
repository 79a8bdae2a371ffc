/**
 * Waiting longer after each failure of one thing: a container that crashes, an image that cannot be pulled.
 * Upstream's numbers: 10 s doubled up to 5 minutes; forgotten after twice the maximum without a failure.
 */
import type { Clock } from '#std/clock.ts';

interface Entry {
  delayMs: number;
  lastFailureMs: number;
}

export class Backoff {
  readonly #clock: Clock;
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #entries = new Map<string, Entry>();

  constructor(
    clock: Clock,
    { initialMs = 10_000, maxMs = 300_000 }: { readonly initialMs?: number; readonly maxMs?: number } = {},
  ) {
    this.#clock = clock;
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
  }

  /** The delay that applies now, for messages; 0 when nothing failed lately. */
  delayMs(key: string): number {
    return this.#live(key)?.delayMs ?? 0;
  }

  /** Milliseconds until the next try is allowed, counted from `sinceMs` (monotonic); 0 when it is allowed now. */
  remainingMs(key: string, sinceMs: number): number {
    const entry = this.#live(key);
    return entry === undefined ? 0 : Math.max(0, sinceMs + entry.delayMs - this.#clock.monotonicMs());
  }

  /** Notes a failure: the next delay is twice this one. */
  next(key: string): void {
    const entry = this.#live(key);
    const delayMs = entry === undefined ? this.#initialMs : Math.min(entry.delayMs * 2, this.#maxMs);
    this.#entries.set(key, { delayMs, lastFailureMs: this.#clock.monotonicMs() });
  }

  /** Forgets all keys that begin with `prefix` (a pod that is gone). */
  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }

  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#clock.monotonicMs() - entry.lastFailureMs <= 2 * this.#maxMs) return entry;
    this.#entries.delete(key);
    return undefined;
  }
}
