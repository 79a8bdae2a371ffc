/**
 * Streams whose callers ask for a leader: when there is none for a while they are ended, so that the callers turn to a member that has
 * one. (upstream: api/v3rpc/interceptor.go, monitorLeader)
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { InterceptedCall } from '#rpc/server.ts';
import type { Clock, Timer } from '#std/clock.ts';

/** Looks in a row that find no leader. Upstream's figure: to come back costs a stream more than to wait. */
const leaderlessLooksMax = 3;

export interface LeaderWatchOptions {
  readonly clock: Clock;
  /** Between two looks. */
  readonly electionTimeoutMs: number;
  readonly hasLeader: () => boolean;
}

export class LeaderWatch implements Disposable {
  readonly #options: LeaderWatchOptions;
  readonly #streams = new Set<InterceptedCall>();
  #leaderlessLooks = 0;
  #timer: Timer | undefined;
  #disposed = false;

  constructor(options: LeaderWatchOptions) {
    this.#options = options;
  }

  /** From now until it ends by itself. */
  add(call: InterceptedCall): void {
    const { signal } = call;
    if (signal.aborted || this.#disposed) return;
    this.#streams.add(call);
    signal.addEventListener('abort', () => this.#streams.delete(call), { once: true });
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    this.#streams.clear();
  }

  /** Nobody looks while nobody asks. */
  #arm(): void {
    if (this.#disposed || this.#streams.size === 0) return;
    const { clock, electionTimeoutMs, hasLeader } = this.#options;
    this.#timer ??= clock.after(electionTimeoutMs, () => {
      this.#timer = undefined;
      this.#leaderlessLooks = hasLeader() ? 0 : this.#leaderlessLooks + 1;
      if (this.#leaderlessLooks >= leaderlessLooksMax) this.#endAll();
      if (this.#streams.size === 0) this.#leaderlessLooks = 0;
      this.#arm();
    });
  }

  #endAll(): void {
    for (const call of [...this.#streams]) call.end(etcdError('noLeader'));
    this.#streams.clear();
  }
}
