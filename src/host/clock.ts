/** The real clock. Its timers do not keep the process alive: what must stay alive holds a socket or a child. */
import type { Clock, Timer } from '#std/clock.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, callback: () => void): Timer {
    // A delay over 2^31-1 ms would fire at once; wait in steps instead.
    const stepMs = Math.min(delayMs, 2 ** 31 - 1);
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number) => {
      handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : callback()), Math.min(leftMs, stepMs));
      handle.unref();
    };
    arm(delayMs);
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
};
