/**
 * Time comes in by constructor. A `Clock` tells wall time and monotonic time and runs callbacks later;
 * nothing else in the pure and middle layers may touch `Date` or timers.
 * The real clock is `#host/clock.ts`; the virtual one, which only moves when told to, is `./virtual-clock.ts`.
 */

/** A callback that was scheduled. Disposing it cancels; cancelling twice, or after it ran, does nothing. */
export interface Timer extends Disposable {
  [Symbol.dispose](): void;
}

export interface Clock {
  /** Wall time in milliseconds since 1970, integer. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary origin, never going back. Fractions allowed. */
  monotonicMs(): number;
  /** Runs `callback` once, `delayMs` (>= 0) from now. The timer does not keep a process alive by itself. */
  after(delayMs: number, callback: () => void): Timer;
}

/** Resolves after `delayMs`; rejects with the signal's reason when aborted first. Leaves no timer behind. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      timer[Symbol.dispose]();
      reject(signal!.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
