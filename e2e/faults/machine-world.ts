/** The time and the chance of this machine, where the simulator's clients and checks go to work on real processes. */
import { systemClock } from '#host/clock.ts';
import { below, type Prng, seededPrng } from '#std/prng.ts';
import type { ClientWorld } from '../../sim/clients.ts';

/** @param seed of what clients do and of which faults there are; not of what comes of it */
export function machineWorld(seed: number): ClientWorld {
  const prng: Prng = seededPrng(seed);
  let place = 0;
  const between = (low: number, high: number) => low + below(prng, high - low + 1);
  return {
    ...systemClock,
    nextPlace: () => ++place,
    between,
    chance: (permille) => below(prng, 1000) < permille,
    pick: (items) => items[below(prng, items.length)]!,
  };
}
