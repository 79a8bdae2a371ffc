/** The time and the chance of this machine, where the simulator's clients and checks go to work on real processes. */
import { systemClock } from '#host/clock.ts';
import type { ClientWorld } from '../../sim/clients.ts';
import { Chance } from '../../sim/world/chance.ts';

/** One seed says what clients do and which faults there are, not what comes of it. */
export class MachineWorld extends Chance implements ClientWorld {
  readonly now = systemClock.now;
  readonly monotonicMs = systemClock.monotonicMs;
  readonly after = systemClock.after;
  #place = 0;

  nextPlace(): number {
    return ++this.#place;
  }
}
