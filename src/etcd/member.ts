/**
 * One member: takes requests, has writes put into the log, applies what the log has committed, tells watchers, and lets leases
 * run out. A write is answered when it is durable and applied; a read sees every write that was answered before it.
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { InternalRaftRequest as Entry } from '#api-etcd/gen/raft_internal.ts';
import { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import { AlarmRequest_AlarmAction, AlarmType, type ResponseHeader } from '#api-etcd/gen/rpc.ts';
import { nextTurn } from '#host/event-loop.ts';
import type { Store } from '#mvcc/store.ts';
import type { Version } from '#mvcc/version.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { type Caller, nobody } from './auth/caller.ts';
import type { Tokens } from './auth/tokens.ts';
import type { MemberIdentity } from './identity.ts';
import { LeaseExpiry } from './lease/expiry.ts';
import type { Applied, ApplyResponse, Machine } from './machine.ts';
import type { Counters } from './metrics.ts';
import { WatchHub } from './watch/hub.ts';

/** The log behind a member. */
export interface Journal {
  readonly term: number;
  /** Index of the last entry that is durable. */
  readonly lastIndex: number;
  /** Calls back with its index, in order of the calls, when the entry is durable; with an error when it may not be. */
  append(entry: Uint8Array, done: (error: unknown, index: number) => void): void;
}

export interface MemberOptions {
  readonly identity: MemberIdentity;
  readonly machine: Machine;
  readonly counters: Counters;
  /** Told of every entry that was applied. */
  readonly tokens: Tokens;
  /** Undefined keeps everything in memory only. */
  readonly journal: Journal | undefined;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Largest entry in bytes. */
  readonly requestBytesMax: number;
  /** Bytes that the store may take on disk; 0 is no limit. */
  readonly quotaBytes: number;
  readonly onExpiryFailed: (id: bigint, error: unknown) => void;
  /** After every entry that was applied while serving. */
  readonly onApplied?: () => void;
  /** Told of changes to keys as they happen, before watchers. */
  readonly onChanges?: ((changes: readonly Version[]) => void) | undefined;
}

/** Writes that may wait for the disk; more are refused, as upstream does when applying falls behind. */
const proposalsMax = 5000;

/** A few milliseconds of work. */
const compactVersionsPerTurn = 4000;

export class Member implements Disposable {
  readonly identity: MemberIdentity;
  readonly machine: Machine;
  readonly hub = new WatchHub();
  readonly counters: Counters;
  readonly expiry: LeaseExpiry;
  readonly requestBytesMax: number;
  readonly quotaBytes: number;
  readonly #journal: Journal | undefined;
  readonly #tokens: Tokens;
  readonly #onApplied: (() => void) | undefined;
  readonly #onChanges: ((changes: readonly Version[]) => void) | undefined;
  #requestId: bigint;
  #compacting: Promise<void> | undefined;
  #waiting = 0;
  #appliedIndex: number;
  #stopped = false;

  constructor(options: MemberOptions) {
    const { identity, machine, journal, clock, prng, requestBytesMax, quotaBytes, onExpiryFailed, onApplied } = options;
    this.identity = identity;
    this.machine = machine;
    this.counters = options.counters;
    this.requestBytesMax = requestBytesMax;
    this.quotaBytes = quotaBytes;
    this.#journal = journal;
    this.#tokens = options.tokens;
    this.#onApplied = onApplied;
    this.#onChanges = options.onChanges;
    this.#appliedIndex = journal?.lastIndex ?? 0;
    // As upstream's generator: the member in the top bits, then what differs between two runs of it, then a counter.
    this.#requestId =
      ((identity.memberId & 0xffffn) << 48n) | (BigInt(prng.uint32()) << 16n) | BigInt(prng.uint32() & 0xff);
    this.expiry = new LeaseExpiry(clock, (id) => {
      const revoked = async () => this.propose({ leaseRevoke: { id } }, this.machine.auth.root);
      revoked().catch((error: unknown) => onExpiryFailed(id, error));
    });
    // Whoever starts to lead gives every lease its whole time again: nobody knows how much of it has passed.
    for (const { id, ttl } of machine.leases.all()) this.expiry.renew(id, ttl);
  }

  get store(): Store {
    return this.machine.store;
  }

  get term(): number {
    return this.#journal?.term ?? 1;
  }

  /** Writes that wait for the disk. */
  get proposalsWaiting(): number {
    return this.#waiting;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Unique among all members and runs. */
  nextId(): bigint {
    this.#requestId = (this.#requestId + 1n) & 0xffff_ffff_ffff_ffffn;
    return this.#requestId;
  }

  header(revision = this.store.revision): ResponseHeader {
    const { clusterId, memberId } = this.identity;
    return { clusterId, memberId, revision, raftTerm: this.term };
  }

  /**
   * Has a request done by all members.
   * @param caller who asks for it
   * @throws RpcError of the request itself, or why it could not be put into the log
   */
  propose(request: Partial<Entry>, caller: Caller = nobody): ApplyResponse | Promise<ApplyResponse> {
    if (this.#stopped) throw etcdError('stopped');
    const entry = InternalRaftRequest.create({
      ...request,
      header: { id: this.nextId(), username: caller.username, authRevision: caller.revision },
    });
    const size = InternalRaftRequest.size(entry);
    if (size > this.requestBytesMax) throw etcdError('requestTooLarge');
    if (this.#journal === undefined) return answerOf(this.#apply(entry, this.#appliedIndex + 1));
    if (this.#waiting >= proposalsMax) throw etcdError('tooManyRequests');
    this.#waiting++;
    const bytes = Buffer.allocUnsafe(size);
    InternalRaftRequest.write(entry, bytes, 0);
    const journal = this.#journal;
    return new Promise((resolve, reject) => {
      journal.append(bytes, (failure, index) => {
        this.#waiting--;
        if (failure !== undefined) {
          this.counters.proposalsFailed++;
          reject(failure);
          return;
        }
        // The request's own bytes may have been the socket's: what is applied is what is in the log.
        const { response, error } = this.#apply(InternalRaftRequest.decode(bytes), index);
        if (error === undefined) resolve(response);
        else reject(error);
        this.#onApplied?.();
      });
    });
  }

  /** Bytes that the store takes on disk when it is saved: records, their keys and their places in the page, in whole pages. */
  get storeBytes(): number {
    const perRecordBytes = 17 + 16;
    const pageBytes = 4096;
    const { recordBytes, versionCount } = this.store;
    return Math.ceil((recordBytes + versionCount * perRecordBytes) / pageBytes + 4) * pageBytes;
  }

  /**
   * Refuses what would take more room than there is, and raises the alarm that keeps it so until an operator has made room.
   * @param costBytes 0 for what needs none
   * @throws RpcError ResourceExhausted
   */
  checkQuota(costBytes: number): void {
    const { quotaBytes } = this;
    if (costBytes === 0 || quotaBytes === 0 || this.storeBytes + costBytes < quotaBytes) return;
    const alarm = {
      action: AlarmRequest_AlarmAction.ACTIVATE,
      memberID: this.identity.memberId,
      alarm: AlarmType.NOSPACE,
    };
    const raised = async () => this.propose({ alarm });
    // Whether it could be raised or not: this request is refused, and the next one tries again.
    if (!this.machine.hasAlarm(AlarmType.NOSPACE)) raised().catch(() => {});
    throw etcdError('noSpace');
  }

  /** Does again what the log has, before anybody asks anything. */
  replay(data: Uint8Array, index: number): void {
    let entry: Entry;
    try {
      entry = InternalRaftRequest.decode(data);
    } catch (error) {
      if (!(error instanceof ProtobufError)) throw error;
      // A request of the v2 API: 3.5 members announce themselves by it. It concerns no key.
      return;
    }
    this.#apply(entry, index);
  }

  /** Resolves when what compactions have left is freed. */
  compacted(): Promise<void> {
    this.#compacting ??= this.#compact().finally(() => {
      this.#compacting = undefined;
    });
    return this.#compacting;
  }

  async #compact(): Promise<void> {
    while (!this.#stopped && this.store.compactStep(compactVersionsPerTurn)) await nextTurn();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.expiry[Symbol.dispose]();
  }

  #apply(entry: Entry, index: number): Applied {
    const applied = this.machine.apply(entry);
    this.#appliedIndex = Math.max(this.#appliedIndex, index);
    if (applied.error === undefined) {
      if (entry.leaseGrant !== undefined) {
        const lease = this.machine.leases.get(entry.leaseGrant.id)!;
        this.expiry.renew(lease.id, lease.ttl);
        this.counters.leasesGranted++;
      } else if (entry.leaseRevoke !== undefined) {
        this.expiry.remove(entry.leaseRevoke.id);
        this.counters.leasesRevoked++;
      }
    }
    this.#tokens.applied(applied.error === undefined ? entry : undefined, index);
    if (entry.txn !== undefined) this.counters.txns++;
    for (const { tombstone } of applied.changes)
      if (tombstone) this.counters.deletes++;
      else this.counters.puts++;
    if (entry.compaction !== undefined) void this.compacted();
    if (applied.changes.length > 0) this.#onChanges?.(applied.changes);
    this.hub.notify(applied.changes, this.store.compactRevision);
    return applied;
  }
}

function answerOf({ response, error }: Applied): ApplyResponse {
  if (error !== undefined) throw error;
  return response;
}
