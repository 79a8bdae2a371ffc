/** The system's randomness, fit for secrets. */
import { randomFillSync } from 'node:crypto';
import type { Prng } from '#std/prng.ts';

const poolWords = 1024;

/** Draws from the operating system in blocks; each word is handed out once. */
export function systemPrng(): Prng {
  const pool = new Uint32Array(poolWords);
  let next = poolWords;
  return {
    uint32() {
      if (next === poolWords) {
        randomFillSync(pool);
        next = 0;
      }
      return pool[next++]!;
    },
  };
}
