/**
 * One member: takes requests, has writes put into the log, applies what the log has committed, tells watchers, and lets leases
 * run out. A write is answered when it is committed and applied; a read sees every write that was answered before it.
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { ConfChange, ConfChangeV2, ConfState, Entry as LogEntry } from '#api-etcd/gen/raft.ts';
import type { InternalRaftRequest as Entry } from '#api-etcd/gen/raft_internal.ts';
import { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import { AlarmRequest_AlarmAction, AlarmType, type ResponseHeader } from '#api-etcd/gen/rpc.ts';
import type { Store } from '#mvcc/store.ts';
import type { Version } from '#mvcc/version.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { RequestAdmission } from './admission/admission.ts';
import { type Caller, nobody } from './auth/caller.ts';
import type { Tokens } from './auth/tokens.ts';
import { hasQuorumSince, isConnectedSince } from './cluster/connected.ts';
import type { ClusterMember } from './cluster/members.ts';
import type { MemberIdentity } from './identity.ts';
import { type CompactionPace, Compactions } from './kv/compactions.ts';
import { LeaseExpiry } from './lease/expiry.ts';
import { leaseTtlMin } from './lease/leases.ts';
import type { Applied, ApplyResponse, Machine } from './machine.ts';
import type { Counters } from './metrics.ts';
import type { PeerCalls, Peers } from './peers/peers.ts';
import type { LogPlace } from './replica/log.ts';
import { Reads } from './replica/reads.ts';
import type { Replica } from './replica/replica.ts';
import { Waiters } from './replica/waiters.ts';
import { applyV2Request } from './v2-request.ts';
import { WatchHub } from './watch/hub.ts';

export interface MemberOptions {
  readonly identity: MemberIdentity;
  readonly machine: Machine;
  /** What `machine` has applied already. */
  readonly applied: LogPlace;
  readonly counters: Counters;
  /** Told of every entry that was applied. */
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Largest entry in bytes. */
  readonly requestBytesMax: number;
  /** Bytes that the store may take on disk; 0 is no limit. */
  readonly quotaBytes: number;
  /** How long a follower hears nothing before it calls an election; requests wait for two of them, and 5 seconds. */
  readonly electionTimeoutMs: number;
  /** Bytes of memory that clients' requests may take. */
  readonly requestMemoryBytes: number;
  /** `--max-learners`. */
  readonly learnersMax: number;
  /** `--strict-reconfig-check`: refuse changes of membership after which there might be no quorum. */
  readonly strictReconfigCheck: boolean;
  readonly onExpiryFailed: (id: bigint, error: unknown) => void;
  /** How fast compactions free what they leave, and who is told of each. */
  readonly compaction?: CompactionPace;
  /** After entries were applied while serving. */
  readonly onApplied?: () => void;
  /** Told of changes to keys as they happen, before watchers. */
  readonly onChanges?: ((changes: readonly Version[]) => void) | undefined;
}

/** Writes that may wait for the log; more are refused, as upstream does when applying falls behind. */
const proposalsMax = 5000;
/** What a request may take without an election. */
const requestTimeoutMs = 5000;
/** A read that nobody has answered is asked again after this. */
const readRetryMs = 500;

export class Member implements Disposable {
  readonly identity: MemberIdentity;
  readonly hub = new WatchHub();
  readonly counters: Counters;
  readonly expiry: LeaseExpiry;
  readonly compactions: Compactions;
  readonly admission: RequestAdmission;
  /** Leases whose revocation is under way, since this member leads. */
  readonly #revoking = new Set<bigint>();
  readonly requestBytesMax: number;
  readonly quotaBytes: number;
  readonly learnersMax: number;
  readonly strictReconfigCheck: boolean;
  readonly clock: Clock;
  /** How long a request may take, an election included. */
  readonly requestTimeoutMs: number;
  readonly electionTimeoutMs: number;
  readonly #tokens: Tokens;
  readonly #onApplied: (() => void) | undefined;
  readonly #onChanges: ((changes: readonly Version[]) => void) | undefined;
  readonly #waiters: Waiters<ApplyResponse>;
  readonly #changes: Waiters<readonly ClusterMember[]>;
  readonly #reads: Reads;
  #machine: Machine;
  #replica: Replica | undefined;
  #peers: Peers | undefined;
  #requestId: bigint;
  #applied: LogPlace;
  #leaderSinceMs = Number.NEGATIVE_INFINITY;
  #refusesWrites = false;
  #stopped = false;

  constructor(options: MemberOptions) {
    const { identity, machine, clock, prng, requestBytesMax, quotaBytes, onExpiryFailed } = options;
    this.identity = identity;
    this.counters = options.counters;
    this.requestBytesMax = requestBytesMax;
    this.quotaBytes = quotaBytes;
    this.learnersMax = options.learnersMax;
    this.strictReconfigCheck = options.strictReconfigCheck;
    this.clock = clock;
    this.#machine = machine;
    this.#tokens = options.tokens;
    this.electionTimeoutMs = options.electionTimeoutMs;
    machine.leases.ttlMin = leaseTtlMin(options.electionTimeoutMs);
    this.#onApplied = options.onApplied;
    this.#onChanges = options.onChanges;
    this.#applied = options.applied;
    // As upstream's generator: the member in the top bits, then what differs between two runs of it, then a counter.
    this.#requestId =
      ((identity.memberId & 0xffffn) << 48n) | (BigInt(prng.uint32()) << 16n) | BigInt(prng.uint32() & 0xff);
    this.compactions = new Compactions({ store: () => this.store, clock, ...options.compaction });
    this.expiry = new LeaseExpiry(clock, (id) => {
      this.#revokeExpired(id).catch((error: unknown) => onExpiryFailed(id, error));
    });
    const timeoutMs = requestTimeoutMs + 2 * options.electionTimeoutMs;
    this.requestTimeoutMs = timeoutMs;
    const timedOut = (sinceMs: number) => this.timedOut(sinceMs);
    this.admission = new RequestAdmission({
      budgetBytes: options.requestMemoryBytes,
      clock,
      store: () => this.store,
      waitMsMax: timeoutMs,
      chunkBytesMax: 2 * requestBytesMax,
    });
    this.#waiters = new Waiters({ clock, timeoutMs, timedOut });
    this.#changes = new Waiters({ clock, timeoutMs, timedOut });
    this.#reads = new Reads({
      clock,
      ask: (context) => this.#replica?.askReadIndex(context),
      nextId: () => this.nextId(),
      appliedIndex: () => this.appliedIndex,
      retryMs: readRetryMs,
      timeoutMs,
      timedOut,
    });
  }

  /** From now on writes go through a log. Without one, everything is kept in memory only and this member is all there is. */
  attach(replica: Replica, peers: Peers | undefined): void {
    this.#replica = replica;
    this.#peers = peers;
  }

  /** In memory only: leases begin to run out. With a log, they do when this member leads. */
  startLeases(): void {
    // Whoever starts to lead gives every lease its whole time again: nobody knows how much of it has passed.
    for (const { id, ttl } of this.#machine.leases.all()) this.expiry.renew(id, ttl);
  }

  /** May be another one after the leader has sent its state: not to be kept across waits. */
  get machine(): Machine {
    return this.#machine;
  }

  get store(): Store {
    return this.#machine.store;
  }

  get term(): number {
    return this.#replica?.term ?? 1;
  }

  /** 0 while nobody is known to lead. */
  get leader(): bigint {
    return this.#replica === undefined ? this.identity.memberId : this.#replica.leader;
  }

  get isLeader(): boolean {
    return this.leader === this.identity.memberId;
  }

  get isLearner(): boolean {
    return this.#machine.members.get(this.identity.memberId)?.isLearner === true;
  }

  /** Undefined for a member without a log. */
  get replica(): Replica | undefined {
    return this.#replica;
  }

  /** Writes that wait for the log. */
  get proposalsWaiting(): number {
    return this.#waiters.size;
  }

  get appliedIndex(): number {
    return this.#applied.index;
  }

  /** Where in the log the state stands. */
  get applied(): LogPlace {
    return this.#applied;
  }

  get committedIndex(): number {
    return this.#replica?.committedIndex ?? this.#applied.index;
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
  propose(
    request: Partial<Entry>,
    caller: Caller = nobody,
    where: 'here' | 'anywhere' = 'anywhere',
  ): ApplyResponse | Promise<ApplyResponse> {
    if (this.#refusesWrites) throw etcdError('stopped');
    const id = this.nextId();
    const entry = InternalRaftRequest.create({
      ...request,
      header: { id, username: caller.username, authRevision: caller.revision },
    });
    const size = InternalRaftRequest.size(entry);
    if (size > this.requestBytesMax) throw etcdError('requestTooLarge');
    const replica = this.#replica;
    if (replica === undefined) {
      this.#applied = { index: this.#applied.index + 1, term: 1 };
      const { response, error } = this.#apply(entry);
      if (error !== undefined) throw error;
      return response;
    }
    if (this.#waiters.size >= proposalsMax) throw etcdError('tooManyRequests');
    const bytes = Buffer.allocUnsafe(size);
    InternalRaftRequest.write(entry, bytes, 0);
    if (where === 'here') replica.proposeHere(bytes);
    const answered = this.#waiters.wait(id);
    if (where === 'anywhere') replica.propose(id, bytes);
    return answered;
  }

  /**
   * Has a member added, removed, changed or promoted. Resolves with the members there are then.
   * @throws RpcError
   */
  async changeMembers(change: Omit<ConfChange, 'id'>): Promise<readonly ClusterMember[]> {
    if (this.#refusesWrites) throw etcdError('stopped');
    if (this.#replica === undefined) throw etcdError('unhealthy');
    const id = this.nextId();
    const answered = this.#changes.wait(id);
    try {
      this.#replica.proposeChange({ ...change, id });
    } catch (error) {
      this.#changes.take(id)?.reject(error);
    }
    return answered;
  }

  /**
   * Before a linearizable read. Undefined when it may go ahead at once; otherwise it may when the promise resolves.
   * @throws RpcError in the promise
   */
  linearized(): Promise<void> | undefined {
    const replica = this.#replica;
    if (replica === undefined || (replica.isAlone && replica.isLeader && this.#applied.term === replica.term))
      return undefined;
    return this.#reads.wait();
  }

  /** What a request that has waited since then is told: whether an election, or a lost connection, may be the reason. */
  timedOut(sinceMs: number): unknown {
    const lostMs = this.#leaderSinceMs - 2 * this.electionTimeoutMs;
    if (sinceMs > lostMs && sinceMs < this.#leaderSinceMs) return etcdError('timeoutLeaderFailed');
    const { leader } = this;
    if (leader === 0n) return etcdError('timeout');
    const stayed = this.isLeader ? hasQuorumSince(this, sinceMs) : isConnectedSince(this, leader, sinceMs);
    return etcdError(stayed ? 'timeout' : 'timeoutConnectionLost');
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Calls to another member; undefined for a member that is alone. */
  callsTo(urls: readonly string[]): PeerCalls | undefined {
    return this.#peers?.callsTo(urls);
  }

  /** Since when the connection with another member is up, on the clock of {@link nowMs}; undefined while it is not. */
  activeSinceMs(id: bigint): number | undefined {
    return this.#peers?.network.activeSinceMs(id);
  }

  /** What Prometheus reads of the traffic with the others. */
  peerMetrics(): string {
    return this.#peers?.network.metrics?.() ?? '';
  }

  /** Monotonic. */
  nowMs(): number {
    return this.clock.monotonicMs();
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

  /** Applies an entry of the log and answers whoever waits for it here. */
  applyEntry({ index, term, data }: LogEntry): void {
    if (term > this.#applied.term) this.#giveUpLost(term);
    this.#applied = { index, term };
    if (data === undefined || data.length === 0) {
      this.#tokens.applied(undefined, index);
      return;
    }
    let entry: Entry;
    try {
      entry = InternalRaftRequest.decode(data);
    } catch (error) {
      if (!(error instanceof ProtobufError)) throw error;
      // A request of the v2 API: by it 3.5 members tell what they are called.
      applyV2Request(this.#machine, data);
      this.#tokens.applied(undefined, index);
      return;
    }
    const { response, error } = this.#apply(entry);
    const waiter = this.#waiters.take(entry.header?.id ?? entry.id);
    if (waiter === undefined) return;
    if (error === undefined) waiter.resolve(response);
    else waiter.reject(error);
  }

  /** Whoever's write died with the leader is told now what a timeout would tell later. */
  #giveUpLost(term: number): void {
    const lastId = this.#replica?.lostBefore(term);
    if (lastId !== undefined) this.#waiters.giveUp(lastId, etcdError('timeoutLeaderFailed'));
  }

  isWaitedFor(id: bigint): boolean {
    return this.#waiters.has(id);
  }

  /** Whether a change of membership may be made; whoever waits for one that may not is told why. */
  mayChange(change: ConfChange): boolean {
    try {
      this.#machine.members.check(change, this.learnersMax);
      return true;
    } catch (error) {
      this.#changes.take(change.id)?.reject(error);
      return false;
    }
  }

  /** The log goes on behind a change that may not be made. */
  changeRefused({ index, term }: LogPlace): void {
    this.#applied = { index, term };
    this.#tokens.applied(undefined, index);
  }

  membersChanged(change: ConfChange | ConfChangeV2, confState: ConfState, { index, term }: LogPlace): void {
    this.#applied = { index, term };
    this.#tokens.applied(undefined, index);
    this.#machine.confState = confState;
    if (!('nodeId' in change)) return;
    this.#machine.members.apply(change);
    this.#changes.take(change.id)?.resolve(this.#machine.members.all());
  }

  /** Everything that is committed by now is applied. */
  settled(): void {
    this.#reads.applied();
    this.#onApplied?.();
  }

  readConfirmed(context: Uint8Array, index: number): void {
    this.#reads.confirmed(context, index);
  }

  leaderChanged(leader: bigint): void {
    if (leader !== 0n) {
      this.counters.leaderChanges++;
      this.#leaderSinceMs = this.clock.monotonicMs();
    }
    this.#revoking.clear();
    if (leader === this.identity.memberId) this.startLeases();
    else this.expiry.clear();
    if (leader !== 0n) this.#reads.leaderChanged();
  }

  /** The leader's state takes the place of ours, which had fallen too far behind. */
  install(machine: Machine, applied: LogPlace): void {
    const seen = this.store.revision;
    machine.leases.ttlMin = this.#machine.leases.ttlMin;
    this.#machine = machine;
    this.#applied = applied;
    // They were of what this member held.
    this.compactions.hashes.clear();
    this.#tokens.applied(undefined, applied.index);
    this.#replica?.restarted(applied.index);
    this.hub.storeReplaced(seen);
    this.#reads.applied();
  }

  /** Resolves when what compactions have left is freed. */
  compacted(): Promise<void> {
    return this.compactions.done();
  }

  /** Nothing can be written any more: neither what waits nor what comes is ever acknowledged. */
  refuseWrites(): void {
    this.#refusesWrites = true;
    this.#waiters.stop();
    this.#changes.stop();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.refuseWrites();
    this.compactions[Symbol.dispose]();
    this.expiry[Symbol.dispose]();
    this.admission[Symbol.dispose]();
    this.#reads.stop();
  }

  /** A leader that was cut off, or asleep, may have been replaced: it must not end leases that others keep alive. */
  async #revokeExpired(id: bigint): Promise<void> {
    if (this.#revoking.has(id)) return;
    this.#revoking.add(id);
    try {
      await this.linearized();
      // Meanwhile it may have lost the lead, and got it back: then every lease has had its whole time again.
      if (this.isLeader && this.expiry.isExpired(id))
        await this.propose({ leaseRevoke: { id } }, this.machine.auth.root, 'here');
    } finally {
      this.#revoking.delete(id);
    }
  }

  #apply(entry: Entry): Applied {
    const machine = this.#machine;
    const applied = machine.apply(entry);
    if (applied.error === undefined) {
      if (entry.leaseGrant !== undefined) {
        const lease = machine.leases.get(entry.leaseGrant.id)!;
        if (this.isLeader) this.expiry.renew(lease.id, lease.ttl);
        this.counters.leasesGranted++;
      } else if (entry.leaseRevoke !== undefined) {
        this.expiry.remove(entry.leaseRevoke.id);
        this.counters.leasesRevoked++;
      }
    }
    this.#tokens.applied(applied.error === undefined ? entry : undefined, this.#applied.index);
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
