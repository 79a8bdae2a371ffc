/**
 * What a controller did and its informer has not shown yet. Until it has, counting pods would count wrong: the controller waits. An
 * expectation that is never met is given up after five minutes.
 */
import type { Clock } from '#std/clock.ts';

interface Expectation {
  creations: number;
  /** Keys of pods, so that one deletion seen twice counts once. */
  readonly deletions: Set<string>;
  readonly sinceMs: number;
}

export const expectationTimeoutMs = 300_000;

export class Expectations {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Expectation>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when all that was done has been seen. */
  met(key: string): boolean {
    const expectation = this.#byKey.get(key);
    return (
      expectation === undefined ||
      (expectation.creations <= 0 && expectation.deletions.size === 0) ||
      this.#clock.monotonicMs() - expectation.sinceMs > expectationTimeoutMs
    );
  }

  expectCreations(key: string, count: number): void {
    this.#byKey.set(key, { creations: count, deletions: new Set(), sinceMs: this.#clock.monotonicMs() });
  }

  expectDeletions(key: string, podKeys: readonly string[]): void {
    this.#byKey.set(key, { creations: 0, deletions: new Set(podKeys), sinceMs: this.#clock.monotonicMs() });
  }

  /** Also for a creation that failed: it will not be seen. */
  creationObserved(key: string): void {
    const expectation = this.#byKey.get(key);
    if (expectation !== undefined) expectation.creations--;
  }

  deletionObserved(key: string, podKey: string): void {
    this.#byKey.get(key)?.deletions.delete(podKey);
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
