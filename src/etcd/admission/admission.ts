/**
 * Lets clients' requests in as the {@link Budget} has room for them: estimates each, has it wait its turn, and refuses it with upstream's "too many requests" when
 * the queue is full or its time is nearly up. What is not estimated (leases, watches, health, peers) passes at once, whoever waits.
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { Store } from '#mvcc/store.ts';
import type { Admission, CallContext, Peer } from '#rpc/call.ts';
import type { Clock } from '#std/clock.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Account, Budget, type Waiting } from './budget.ts';
import { estimate } from './estimate.ts';

export interface RequestAdmissionOptions {
  readonly budgetBytes: number;
  readonly clock: Clock;
  /** The store as it is now. */
  readonly store: () => Store;
  /** No request waits longer. */
  readonly waitMsMax: number;
  /** Bytes of an answer in pieces that may be under way. */
  readonly chunkBytesMax: number;
}

/** Of the caller's time, as much is left for the answer that refuses: it hears why. */
const shareOfDeadline = 0.9;

export class RequestAdmission implements Admission, Disposable {
  readonly budget: Budget;
  readonly #options: RequestAdmissionOptions;
  /** Of connections that were seen by their listener. */
  readonly #connections = new WeakMap<Peer, Account>();
  /** Of callers in this process and through the gateway, while they have or want something. */
  readonly #byAddress = new Map<string, Account>();
  readonly #waiting = new Set<(error: unknown) => void>();
  #refused = 0;

  constructor(options: RequestAdmissionOptions) {
    this.budget = new Budget(options.budgetBytes);
    this.#options = options;
  }

  get refusedCount(): number {
    return this.#refused;
  }

  enter(method: Method, request: unknown, context: CallContext): number | Promise<number> {
    const { store, chunkBytesMax } = this.#options;
    const { bytes, requestBytes } = estimate(method, request, store(), chunkBytesMax);
    if (bytes === 0) return 0;
    const account = this.#accountOf(context.peer);
    if (this.budget.tryAdmit(account, bytes)) return bytes;
    return this.#wait(account, bytes, requestBytes, context);
  }

  leave(peer: Peer, bytes: number): void {
    if (bytes === 0) return;
    const account = this.#accountOf(peer);
    this.budget.release(account, bytes);
    this.#forgetIdle(peer, account);
  }

  /** What a connection's client has not taken yet of its answers is now so much. */
  untaken(peer: Peer, bytes: number): void {
    let account = this.#connections.get(peer);
    if (account === undefined) {
      account = new Account();
      this.#connections.set(peer, account);
    }
    this.budget.untaken(account, bytes);
  }

  /** Nobody waits any longer. */
  [Symbol.dispose](): void {
    for (const reject of [...this.#waiting]) reject(etcdError('stopped'));
  }

  #accountOf(peer: Peer): Account {
    let account = this.#connections.get(peer) ?? this.#byAddress.get(peer.address);
    if (account === undefined) {
      account = new Account();
      this.#byAddress.set(peer.address, account);
    }
    return account;
  }

  #forgetIdle({ address }: Peer, account: Account): void {
    if (account.admittedBytes > 0 || account.waitingCount > 0) return;
    if (this.#byAddress.get(address) === account) this.#byAddress.delete(address);
  }

  #wait(account: Account, bytes: number, requestBytes: number, context: CallContext): Promise<number> {
    const { clock, waitMsMax } = this.#options;
    const { signal, deadlineMs, peer } = context;
    return new Promise((resolve, reject) => {
      const settle = () => {
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', onAbort);
        this.#waiting.delete(fail);
      };
      const fail = (error: unknown) => {
        settle();
        this.budget.giveUp(waiting);
        this.#forgetIdle(peer, account);
        reject(error);
      };
      const refuse = () => {
        this.#refused++;
        fail(etcdError('tooManyRequests'));
      };
      const onAbort = () => fail(signal.reason);
      const leftMs = deadlineMs === undefined ? waitMsMax : (deadlineMs - clock.monotonicMs()) * shareOfDeadline;
      const timer = clock.after(Math.max(0, Math.min(waitMsMax, leftMs)), refuse);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(fail);
      const waiting: Waiting = {
        account,
        bytes,
        requestBytes,
        admitted() {
          settle();
          resolve(bytes);
        },
      };
      if (signal.aborted) onAbort();
      else if (!this.budget.wait(waiting)) refuse();
    });
  }
}
