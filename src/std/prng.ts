/**
 * Randomness comes in by constructor. `seededPrng` is xoshiro128** seeded through splitmix32: fast, repeatable,
 * not for secrets. The system's own randomness is `#host/random.ts`.
 */
export interface Prng {
  /** A uniform integer in [0, 2^32). */
  uint32(): number;
}

/** A uniform integer in [0, limit), without modulo bias. `limit` is in [1, 2^32]. */
export function below(prng: Prng, limit: number): number {
  const cap = 2 ** 32 - (2 ** 32 % limit);
  for (;;) {
    const value = prng.uint32();
    if (value < cap) return value % limit;
  }
}

/** `count` random bytes. */
export function randomBytes(prng: Prng, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i++) bytes[i] = prng.uint32() >>> 24;
  return bytes;
}

/** A repeatable stream from one 32-bit seed. */
export function seededPrng(seed: number): Prng {
  let mix = seed >>> 0;
  const next = () => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  const s = new Uint32Array([next(), next(), next(), next()]);
  return {
    uint32() {
      const result = Math.imul(rotl(Math.imul(s[1]!, 5), 7), 9) >>> 0;
      const t = s[1]! << 9;
      s[2]! ^= s[0]!;
      s[3]! ^= s[1]!;
      s[1]! ^= s[2]!;
      s[0]! ^= s[3]!;
      s[2]! ^= t;
      s[3] = rotl(s[3]!, 11);
      return result;
    },
  };
}

function rotl(value: number, by: number): number {
  return ((value << by) | (value >>> (32 - by))) >>> 0;
}
