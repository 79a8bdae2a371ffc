/**
 * When watches are told how far they have come: all of a server's together, about once a minute, on one timer that is there only while somebody
 * watches. Source: the Cacher of k8s.io/apiserver, which sends them from one loop, too.
 */
import type { Clock, Timer } from '#std/clock.ts';

export const bookmarkIntervalMs = 60_000;

export class BookmarkTimer implements Disposable {
  readonly #clock: Clock;
  readonly #watches = new Set<() => void>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `due` at each interval until disposed. */
  follow(due: () => void): Disposable {
    this.#watches.add(due);
    this.#timer ??= this.#clock.after(bookmarkIntervalMs, this.#fire);
    return {
      [Symbol.dispose]: () => {
        this.#watches.delete(due);
        if (this.#watches.size === 0) this[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#watches.clear();
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  readonly #fire = (): void => {
    this.#timer = this.#clock.after(bookmarkIntervalMs, this.#fire);
    for (const due of [...this.#watches]) due();
  };
}
