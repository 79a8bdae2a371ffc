/**
 * Random tokens: sixteen letters and the index of the log's entry that made them. Every member remembers them as it applies that entry,
 * for five minutes after their last use. Somebody may come with a token before this member has got so far: they wait.
 * (upstream: server/auth/simple_token.go)
 */
import type { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import type { Clock } from '#std/clock.ts';
import { below, type Prng } from '#std/prng.ts';
import type { Caller } from './caller.ts';
import type { Tokens } from './tokens.ts';

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const prefixLetters = 16;
/** Seconds after its last use. Upstream's `--auth-token-ttl`. */
export const simpleTokenTtlSecondsDefault = 300;
/** Calls that wait for an entry; a token that names the future beyond that is not known. */
const waitingMax = 1000;
/** Tokens that have run out are looked for when there are twice as many as after the last look, and at least this many. */
const sweepTokensMin = 64;

interface Remembered {
  readonly username: string;
  untilMs: number;
}

interface Waiting {
  readonly index: number;
  readonly resolve: () => void;
}

export class SimpleTokens implements Tokens {
  readonly #clock: Clock;
  readonly #prng: Prng;
  readonly #ttlMs: number;
  readonly #tokens = new Map<string, Remembered>();
  /** Tokens of authentications that were applied and not answered yet, by prefix. */
  readonly #fresh = new Map<string, string>();
  readonly #waiting = new Set<Waiting>();
  #appliedIndex: number;
  #sweepAt = sweepTokensMin;

  constructor({
    clock,
    prng,
    appliedIndex,
    ttlSeconds = simpleTokenTtlSecondsDefault,
  }: {
    readonly clock: Clock;
    readonly prng: Prng;
    /** Of the state that the member starts with: tokens made before are not known any more. */
    readonly appliedIndex: number;
    readonly ttlSeconds?: number | undefined;
  }) {
    this.#clock = clock;
    this.#prng = prng;
    this.#appliedIndex = appliedIndex;
    this.#ttlMs = ttlSeconds * 1000;
  }

  prefix(): string {
    const prefix = Array.from({ length: prefixLetters }, () => letters[below(this.#prng, letters.length)]).join('');
    this.#fresh.set(prefix, '');
    return prefix;
  }

  applied(request: InternalRaftRequest | undefined, index: number): void {
    this.#appliedIndex = index;
    if (request?.authenticate !== undefined) this.#remember(request.authenticate, index);
    else if (request?.authUserDelete !== undefined) this.#forget(request.authUserDelete.name);
    else if (request?.authUserChangePassword !== undefined) this.#forget(request.authUserChangePassword.name);
    else if (request?.authDisable !== undefined) this.#tokens.clear();
    for (const waiting of this.#waiting) if (waiting.index <= index) waiting.resolve();
  }

  issue(_username: string, prefix: string): string {
    const token = this.#fresh.get(prefix) ?? '';
    this.#fresh.delete(prefix);
    return token;
  }

  forget(prefix: string): void {
    this.#fresh.delete(prefix);
  }

  callerOf(token: string, authRevision: number): Caller | undefined {
    const nowMs = this.#clock.monotonicMs();
    const remembered = this.#tokens.get(token);
    if (remembered === undefined) return undefined;
    if (remembered.untilMs < nowMs) {
      this.#tokens.delete(token);
      return undefined;
    }
    remembered.untilMs = nowMs + this.#ttlMs;
    return { username: remembered.username, revision: authRevision };
  }

  known(token: string, signal: AbortSignal): Promise<void> | undefined {
    const index = Number(/^[^.]*\.(\d{1,15})$/.exec(token)?.[1] ?? 0);
    if (index <= this.#appliedIndex || this.#waiting.size >= waitingMax) return undefined;
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiting.delete(waiting);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        end();
        reject(signal.reason);
      };
      const waiting = {
        index,
        resolve: () => {
          end();
          resolve();
        },
      };
      this.#waiting.add(waiting);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  #remember({ name, simpleToken }: { readonly name: string; readonly simpleToken: string }, index: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#tokens.size >= this.#sweepAt) {
      for (const [token, { untilMs }] of this.#tokens) if (untilMs < nowMs) this.#tokens.delete(token);
      this.#sweepAt = Math.max(sweepTokensMin, 2 * this.#tokens.size);
    }
    const token = `${simpleToken}.${index}`;
    this.#tokens.set(token, { username: name, untilMs: nowMs + this.#ttlMs });
    if (this.#fresh.has(simpleToken)) this.#fresh.set(simpleToken, token);
  }

  #forget(username: string): void {
    for (const [token, remembered] of this.#tokens) if (remembered.username === username) this.#tokens.delete(token);
  }
}
