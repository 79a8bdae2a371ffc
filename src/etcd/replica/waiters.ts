/**
 * Who waits for an entry of the log to be applied. Entries are known by the id in them, because an entry may be proposed through another member
 * and come back at any index, or never: then the waiting ends with upstream's timeout.
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { Clock, Timer } from '#std/clock.ts';

interface Waiter<T> {
  readonly id: bigint;
  readonly sinceMs: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export interface WaitersOptions {
  readonly clock: Clock;
  /** All wait equally long, so that one timer does for all of them. */
  readonly timeoutMs: number;
  /** What a request that has waited since then is told. */
  readonly timedOut: (sinceMs: number) => unknown;
}

export class Waiters<T> {
  readonly #options: WaitersOptions;
  /** In order of their time. */
  readonly #waiting = new Map<bigint, Waiter<T>>();
  #timer: Timer | undefined;

  constructor(options: WaitersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  wait(id: bigint): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { id, sinceMs: clock.monotonicMs(), resolve, reject });
      this.#timer ??= clock.after(timeoutMs, this.#expire);
    });
  }

  has(id: bigint): boolean {
    return this.#waiting.has(id);
  }

  /** Whoever waits for `id` here is answered; undefined for an entry that another member, or nobody, waits for. */
  take(id: bigint): Pick<Waiter<T>, 'resolve' | 'reject'> | undefined {
    const waiter = this.#waiting.get(id);
    if (waiter !== undefined) this.#waiting.delete(id);
    return waiter;
  }

  /** Those up to an id, which grow in the order of waiting, are answered with an error now. */
  giveUp(lastId: bigint, error: unknown): void {
    for (const { id, reject } of this.#waiting.values()) {
      if (id > lastId) return;
      this.#waiting.delete(id);
      reject(error);
    }
  }

  /** Nobody is answered any more. */
  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    for (const { reject } of this.#waiting.values()) reject(etcdError('stopped'));
    this.#waiting.clear();
  }

  readonly #expire = (): void => {
    const { clock, timeoutMs, timedOut } = this.#options;
    this.#timer = undefined;
    const nowMs = clock.monotonicMs();
    for (const { id, sinceMs, reject } of this.#waiting.values()) {
      const leftMs = sinceMs + timeoutMs - nowMs;
      if (leftMs > 0) {
        this.#timer = clock.after(leftMs, this.#expire);
        return;
      }
      this.#waiting.delete(id);
      reject(timedOut(sinceMs));
    }
  };
}
