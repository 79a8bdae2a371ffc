/**
 * Linearizable reads: before a member answers from its own state, the leader proves to a quorum that it still leads, and says up to where the log was
 * committed; when that is applied here, the read may go ahead. Reads that arrive while one proof is under way share the next.
 * (Raft dissertation, 6.4)
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { Clock, Timer } from '#std/clock.ts';

export interface ReadsOptions {
  readonly clock: Clock;
  /** Asks the leader, wherever it is. The answer comes to {@link Reads.confirmed} with the same context, or never. */
  readonly ask: (context: Uint8Array) => void;
  /** 64 bits that no other question has. */
  readonly nextId: () => bigint;
  readonly appliedIndex: () => number;
  /** Asked again after this. Upstream's: 500 ms. */
  readonly retryMs: number;
  readonly timeoutMs: number;
  /** What a read that has waited since then is told. */
  readonly timedOut: (sinceMs: number) => unknown;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Round {
  readonly context: Buffer;
  readonly sinceMs: number;
  readonly reads: readonly Waiting[];
}

interface Confirmed {
  readonly index: number;
  readonly sinceMs: number;
  readonly reads: readonly Waiting[];
}

export class Reads {
  readonly #options: ReadsOptions;
  #next: Waiting[] = [];
  #round: Round | undefined;
  /** Proved; the log up to there is not applied here yet. In order of the index. */
  #confirmed: Confirmed[] = [];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** Resolves when what was acknowledged before this call is applied here. */
  wait(): Promise<void> {
    if (this.#stopped) return Promise.reject(etcdError('stopped'));
    return new Promise((resolve, reject) => {
      this.#next.push({ resolve, reject });
      if (this.#round === undefined) this.#begin();
    });
  }

  /** The leader has proved that it leads, and had committed up to `index` when it was asked. */
  confirmed(context: Uint8Array, index: number): void {
    const round = this.#round;
    // An answer to a question that has been given up or asked again.
    if (round === undefined || round.context.compare(context) !== 0) return;
    this.#round = undefined;
    this.#confirmed.push({ index, sinceMs: round.sinceMs, reads: round.reads });
    this.applied();
    if (this.#next.length > 0) this.#begin();
  }

  /** More of the log is applied. */
  applied(): void {
    if (this.#confirmed.length === 0) return;
    const index = this.#options.appliedIndex();
    let done = 0;
    for (; done < this.#confirmed.length && this.#confirmed[done]!.index <= index; done++)
      for (const { resolve } of this.#confirmed[done]!.reads) resolve();
    if (done > 0) this.#confirmed.splice(0, done);
  }

  /** Another leader: whoever was asked may not answer. Upstream fails these reads; asking the new leader costs nothing. */
  leaderChanged(): void {
    const round = this.#round;
    if (round !== undefined) this.#begin([...round.reads, ...this.#next], round.sinceMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const groups = [this.#next, this.#round?.reads ?? [], ...this.#confirmed.map(({ reads }) => reads)];
    this.#next = [];
    this.#round = undefined;
    this.#confirmed = [];
    for (const { reject } of groups.flat()) reject(etcdError('stopped'));
  }

  #begin(reads = this.#next, sinceMs = this.#options.clock.monotonicMs()): void {
    const { nextId, ask } = this.#options;
    const context = Buffer.alloc(8);
    context.writeBigUInt64BE(nextId());
    this.#round = { context, sinceMs, reads };
    this.#next = [];
    this.#arm();
    ask(context);
  }

  #arm(): void {
    this.#timer ??= this.#options.clock.after(this.#options.retryMs, () => {
      this.#timer = undefined;
      this.#overdue();
    });
  }

  #overdue(): void {
    const { clock, timeoutMs, timedOut, ask } = this.#options;
    const nowMs = clock.monotonicMs();
    while (this.#confirmed[0] !== undefined && nowMs - this.#confirmed[0].sinceMs >= timeoutMs)
      for (const { reject } of this.#confirmed.shift()!.reads) reject(etcdError('timeoutWaitApplied'));
    const round = this.#round;
    if (round !== undefined && nowMs - round.sinceMs >= timeoutMs) {
      this.#round = undefined;
      for (const { reject } of round.reads) reject(timedOut(round.sinceMs));
      if (this.#next.length > 0) this.#begin();
    } else if (round !== undefined) ask(round.context);
    if (this.#round !== undefined || this.#confirmed.length > 0) this.#arm();
  }
}
