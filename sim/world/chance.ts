/** What is left to chance, drawn from one seed. */
import { below, type Prng, seededPrng } from '#std/prng.ts';

export class Chance {
  readonly prng: Prng;

  constructor(seed: number) {
    this.prng = seededPrng(seed);
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + below(this.prng, high - low + 1);
  }

  /** True in `permille` of a thousand cases. */
  chance(permille: number): boolean {
    return below(this.prng, 1000) < permille;
  }

  pick<T>(items: readonly T[]): T {
    return items[below(this.prng, items.length)]!;
  }

  /** @param items each with how often it comes beside the others */
  weighted<T>(items: readonly (readonly [weight: number, item: T])[]): T {
    let drawn = this.between(0, items.reduce((sum, [weight]) => sum + weight, 0) - 1);
    for (const [weight, item] of items) {
      drawn -= weight;
      if (drawn < 0) return item;
    }
    throw new RangeError('nothing to draw from');
  }
}
