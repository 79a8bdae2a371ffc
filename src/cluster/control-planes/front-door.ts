/**
 * The one address of several apiservers: each listens on the same port by SO_REUSEPORT, and the kernel spreads connections over those that do. There is
 * no balancer to lose, and a process that dies takes its share with it at once. One that cannot serve closes its door, so that new
 * connections go to others, and opens it again when it can.
 */
import { type Clock, sleep } from '#std/clock.ts';
import type { HttpHandler } from '#transport/http.ts';
import { type Listener, listen, type TlsConfig } from '#transport/listen.ts';

export interface FrontDoorOptions {
  readonly hosts: readonly string[];
  readonly port: number;
  readonly tls: TlsConfig;
  readonly handler: HttpHandler;
  /** Whether requests can be answered now; must settle within a few seconds. Rejects with why not. */
  readonly check: () => Promise<void>;
  readonly clock: Clock;
  readonly log: (message: string, error?: unknown) => void;
}

const checkIntervalMs = 500;
/** An address of a bridge that is being made, a port that a stopped cluster still holds. */
const bindRetryMs = 100;
const bindAttemptsMax = 50;
/** One miss may be an election, or a pause of this very process: its timers come first when it goes on. */
const missesMax = 2;

export class FrontDoor implements AsyncDisposable {
  readonly #options: FrontDoorOptions;
  readonly #aborter = new AbortController();
  readonly #closing = new Set<Promise<void>>();
  #listeners: Listener[] = [];
  #watching: Promise<void> = Promise.resolve();

  private constructor(options: FrontDoorOptions) {
    this.#options = options;
  }

  /** Resolves when it is open. @throws Error when the port is taken or an address is not there */
  static async open(options: FrontDoorOptions): Promise<FrontDoor> {
    const door = new FrontDoor(options);
    await door.#open(bindAttemptsMax);
    door.#watching = door.#watch(door.#aborter.signal);
    return door;
  }

  get isOpen(): boolean {
    return this.#listeners.length > 0;
  }

  /** Waits for requests in progress, as long as a listener grants them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#aborter.abort(new Error('the door is closed'));
    await this.#watching;
    this.#close();
    await Promise.all(this.#closing);
  }

  /** A pause after each turn, whatever it was: misses are apart in time, and a port that somebody else has is asked for once an interval. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, check, log } = this.#options;
    let misses = 0;
    let refused = false;
    while (!signal.aborted) {
      const miss = await check().then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      if (miss === undefined) {
        misses = 0;
        if (!this.isOpen && !signal.aborted) refused = !(await this.#reopen(refused));
      } else if (++misses >= missesMax && this.isOpen) {
        log('not ready: new connections go to others', miss.error);
        this.#close();
      }
      await sleep(clock, checkIntervalMs, signal).catch(() => {});
    }
  }

  /** Whether it is open. @param refused it was not the last time: that has been said */
  async #reopen(refused: boolean): Promise<boolean> {
    const { log } = this.#options;
    try {
      await this.#open(1);
    } catch (error) {
      if (!refused) log('ready again, but the door cannot be opened yet', error);
      return false;
    }
    log('ready again: new connections are taken');
    return true;
  }

  async #open(attemptsMax: number): Promise<void> {
    const { hosts, port, tls, handler, clock } = this.#options;
    const listeners: Listener[] = [];
    try {
      for (const host of hosts)
        for (let attempt = 1; ; attempt++)
          try {
            listeners.push(await listen({ address: { host, port, reusePort: true }, tls, handler }));
            break;
          } catch (error) {
            if (attempt >= attemptsMax) throw error;
            await sleep(clock, bindRetryMs);
          }
    } catch (error) {
      await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()));
      throw error;
    }
    this.#listeners = listeners;
  }

  #close(): void {
    for (const listener of this.#listeners.splice(0)) {
      const closing: Promise<void> = (listener[Symbol.asyncDispose]() as Promise<void>).then(
        () => void this.#closing.delete(closing),
        (error: unknown) => this.#options.log('closing a listener', error),
      );
      this.#closing.add(closing);
    }
  }
}
