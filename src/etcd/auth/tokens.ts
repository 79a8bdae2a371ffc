/**
 * Tokens stand for a caller who has said their password. Each member knows its own: they are in no file and no answer of the state
 * machine. Which kind there is, is configured: random ones that members remember (`simple-tokens.ts`), or signed ones (`jwt-tokens.ts`).
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import type { Caller } from './caller.ts';

export interface Tokens {
  /** What goes into the log with an authentication, so that every member makes the same token of it. Empty where none needs it. */
  prefix(): string;
  /**
   * After every entry that was applied, in order; without the request when there was none, or it was refused. After a state that came from the leader,
   * with the index of that.
   */
  applied(request: InternalRaftRequest | undefined, index: number): void;
  /**
   * The token of an authentication that was applied.
   * @throws RpcError when this member cannot make any
   */
  issue(username: string, prefix: string, authRevision: number): string;
  /** No token is asked for any more: its authentication has failed. */
  forget(prefix: string): void;
  /** @returns undefined for a token that is not known, or not any more */
  callerOf(token: string, authRevision: number): Caller | undefined;
  /** Resolves when a token that another member has just given out can be known here; undefined when that is now. */
  known(token: string, signal: AbortSignal): Promise<void> | undefined;
}

/** What is wrong with the configuration of tokens, or their keys. */
export class TokenOptionsError extends Error {
  override readonly name = 'TokenOptionsError';
}

/** `--auth-token ''`: nobody gets a token. */
export const noTokens: Tokens = {
  prefix: () => '',
  applied() {},
  forget() {},
  issue() {
    throw etcdError('authFailed');
  },
  callerOf: () => undefined,
  known: () => undefined,
};
