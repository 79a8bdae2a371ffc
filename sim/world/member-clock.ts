/** The clock of one run of a member: its wall time may be wrong and jump, it stands still while the process is stopped, and it ends with it. */
import type { Clock, Timer } from '#std/clock.ts';
import type { World } from './world.ts';

export class MemberClock implements Clock {
  readonly #world: World;
  #wallOffsetMs = 0;
  #alive = true;
  readonly #killed = Promise.withResolvers<void>();
  #stoppedUntilMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Resolves when the process is dead: whoever talked to it notices. */
  get killed(): Promise<void> {
    return this.#killed.promise;
  }

  /** Until when the process does nothing; past when it runs. */
  get stoppedUntilMs(): number {
    return this.#stoppedUntilMs;
  }

  now(): number {
    return this.#world.now() + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#world.monotonicMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    let timer: Timer;
    const fire = () => {
      if (!this.#alive) return;
      const leftMs = this.#stoppedUntilMs - this.#world.monotonicMs();
      if (leftMs > 0) timer = this.#world.after(leftMs, fire);
      else callback();
    };
    timer = this.#world.after(delayMs, fire);
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }

  /** Runs something as soon as the process does. */
  whenRunning(callback: () => void): void {
    if (!this.#alive) return;
    if (this.#stoppedUntilMs > this.#world.monotonicMs()) this.after(0, callback);
    else callback();
  }

  jump(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  stopFor(ms: number): void {
    this.#stoppedUntilMs = Math.max(this.#stoppedUntilMs, this.#world.monotonicMs() + ms);
  }

  kill(): void {
    this.#alive = false;
    this.#killed.resolve();
  }
}
