/**
 * Starts a member of a cluster: wires state, log, peers and services together. It opens no port; whoever wants one gives
 * `services` or `dispatcher`, and `http`, to a listener.
 */
import { bcryptPasswords } from '#host/bcrypt.ts';
import type { Disk } from '#host/disk.ts';
import { availableMemoryBytes } from '#host/process-memory.ts';
import type { Version } from '#mvcc/version.ts';
import type { BoundService, CallContext, Channel, Peer } from '#rpc/call.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { createDispatcher, type RpcDispatcher } from '#rpc/server.ts';
import { assert } from '#std/assert.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { walFileBytesDefault } from '#storage/wal/wal.ts';
import type { HttpHandler } from '#transport/http.ts';
import { announce } from './announce.ts';
import { Authenticator } from './auth/authenticator.ts';
import { authService } from './auth/service.ts';
import { createTokens, type TokenOptions } from './auth/token-options.ts';
import type { Tokens } from './auth/tokens.ts';
import { type AutoCompaction, AutoCompactor } from './auto-compactor.ts';
import { confStateOf } from './checkpoint/backend.ts';
import { joinedCluster, type NewCluster, newCluster } from './cluster/bootstrap.ts';
import { CompactHashMonitor } from './cluster/compact-hash-monitor.ts';
import { CorruptionMonitor } from './cluster/corruption-monitor.ts';
import { checkBeforeServing } from './cluster/initial-check.ts';
import { LearnerPromoter } from './cluster/learner-promoter.ts';
import { Members } from './cluster/members.ts';
import { clusterService } from './cluster/service.ts';
import { VersionMonitor } from './cluster/version-monitor.ts';
import { electionService } from './concurrency/election.ts';
import { lockService } from './concurrency/lock.ts';
import { debugVarsHandler } from './debug-vars.ts';
import { gate } from './gate.ts';
import { withAccessControl } from './gateway/access.ts';
import { gatewayHandler } from './gateway/gateway.ts';
import { healthService } from './health/service.ts';
import { etcdHttpHandler } from './http.ts';
import type { InitialMember, MemberIdentity } from './identity.ts';
import type { CompactionPace } from './kv/compactions.ts';
import { kvService } from './kv/service.ts';
import { LeaderWatch } from './leader-watch.ts';
import { handOver } from './leadership.ts';
import { leaseService } from './lease/service.ts';
import { Machine } from './machine.ts';
import { maintenanceService } from './maintenance/service.ts';
import { Member } from './member.ts';
import { Counters } from './metrics.ts';
import type { PeerTransport } from './peers/peers.ts';
import { forceNewCluster } from './replica/force-new-cluster.ts';
import { catchUpEntriesDefault } from './replica/log.ts';
import { createFolder, exists, openFolder } from './replica/open.ts';
import { type StartedReplica, startReplica } from './start-replica.ts';
import { watchService } from './watch/service.ts';

export interface EtcdConfig {
  /** Default `default`. */
  readonly name?: string;
  /** Default `http://localhost:2380`; with the token they make the member's and the cluster's id. */
  readonly peerUrls?: readonly string[];
  /** What members tell clients about themselves. Default `http://localhost:2379`. */
  readonly clientUrls?: readonly string[];
  /** `--initial-cluster`: this member among the others. Default: this member alone. */
  readonly initialCluster?: readonly InitialMember[];
  /** `--initial-cluster-state`: `existing` joins a cluster to which this member was added. Default `new`. */
  readonly initialClusterState?: 'new' | 'existing';
  /** Default `etcd-cluster`. */
  readonly clusterToken?: string;
  /** `--force-new-cluster`: after a lost quorum, the member goes on alone with what it has. */
  readonly forceNewCluster?: boolean;
  /** Undefined keeps everything in memory only. */
  readonly dataDir?: string;
  /** Files of the log are cut at this size. Default 64 MB, as upstream's. */
  readonly logFileBytes?: number;
  /** The state is saved when the log since then weighs as much as the state, and at least this. Default 32 MiB. */
  readonly checkpointLogBytesMin?: number;
  /** `--snapshot-catchup-entries`: followers that lag further get the state instead of the log. Default 5000. */
  readonly snapshotCatchUpEntries?: number;
  /** `--heartbeat-interval`; default 100. */
  readonly heartbeatIntervalMs?: number;
  /** `--election-timeout`; default 1000. */
  readonly electionTimeoutMs?: number;
  /** `--pre-vote`; default true. */
  readonly preVote?: boolean;
  /** `--strict-reconfig-check`; default true. */
  readonly strictReconfigCheck?: boolean;
  /** `--corrupt-check-time`: how often the leader compares members; default a minute, 0 is never. */
  readonly corruptCheckIntervalMs?: number;
  /** The feature `InitialCorruptCheck`: a member that holds other data than its peers does not start. Default false. */
  readonly initialCorruptCheck?: boolean;
  /** The feature `CompactHashCheck`, and `--compact-hash-check-time`: how often the leader compares members' compactions. Never by default. */
  readonly compactHashCheckIntervalMs?: number;
  /** `--compaction-batch-limit` and `--compaction-sleep-interval`. */
  readonly compaction?: Pick<CompactionPace, 'versionsPerTurn' | 'pauseMs'>;
  /** `--max-learners`; default 1. */
  readonly learnersMax?: number;
  /** `--wherry-promote-learners`: the leader makes voters of learners that have caught up. */
  readonly promoteLearners?: boolean;
  /** `--watch-progress-notify-interval`; default 10 minutes. */
  readonly progressNotifyIntervalMs?: number;
  /** `--max-request-bytes`; default 1.5 MiB. */
  readonly requestBytesMax?: number;
  /** `--auto-compaction-mode` and `-retention`; off by default. */
  readonly autoCompaction?: AutoCompaction;
  /** `--quota-backend-bytes`; default 2 GiB, 0 is no limit. */
  readonly quotaBytes?: number;
  /** `--wherry-request-memory-bytes`; default {@link requestMemoryBytesDefault}. */
  readonly requestMemoryBytes?: number;
  /** `--max-txn-ops`; default 128. */
  readonly txnOpsMax?: number;
  /** `--auth-token`; default simple tokens. */
  readonly tokens?: TokenOptions;
  /** `--bcrypt-cost`; default 10. */
  readonly bcryptCost?: number;
  /** `--client-cert-auth`: the common name of a client's certificate is its user. */
  readonly certificateNames?: boolean;
  /** `--enable-grpc-gateway`; default on. */
  readonly gateway?: boolean;
  /** `--host-whitelist`; default any. */
  readonly hosts?: ReadonlySet<string>;
  /** `--cors`; default any. */
  readonly origins?: ReadonlySet<string>;
}

export interface EtcdDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  /** Where `dataDir` is. */
  readonly disk?: Disk;
  /** How the other members are reached; without it this member must be alone. */
  readonly peers?: PeerTransport;
  /** What an operator should know; one line each. */
  readonly log: (message: string) => void;
  /** What only tells how things go. */
  readonly inform?: (message: string) => void;
  /** Told of every change to a key as it happens, in order; not of those in the log of a start before. */
  readonly onChanges?: (changes: readonly Version[]) => void;
}

export interface Etcd extends AsyncDisposable {
  readonly services: readonly BoundService[];
  readonly dispatcher: RpcDispatcher;
  /** What a listener tells of answers that a client has not taken: they count as memory that requests take. */
  readonly untaken: (peer: Peer, bytes: number) => void;
  /** What the client port answers besides gRPC: health, metrics, and all calls as JSON. */
  readonly http: HttpHandler;
  /** Health and metrics alone. */
  readonly health: HttpHandler;
  /** The member itself: what shows people how it is doing reads it. */
  readonly member: Member;
  /** Resolves when the member is part of its cluster and has told it who it is: clients may be let in. */
  readonly ready: Promise<void>;
  /** Resolves, with why, when this member cannot go on: its log cannot be written, or it was removed from the cluster. */
  readonly failed: Promise<unknown>;
  /** Calls this member in the same process. The channel is the caller's to dispose. */
  connect(peer?: Peer): Channel;
  /** Another member with the same data, from now on its own; in constant time. In memory only. */
  fork(deps: EtcdDeps): Etcd;
}

const requestBytesMaxDefault = 1.5 * 1024 * 1024;
/** An eighth of the memory that this process may use, between 64 MiB and 1 GiB. */
function requestMemoryBytesDefault(): number {
  return Math.min(1 << 30, Math.max(64 << 20, Math.floor(availableMemoryBytes() / 8)));
}
/** What gRPC may receive beyond the largest request. */
const messageOverheadBytes = 512 * 1024;
const heartbeatIntervalMsDefault = 100;
const electionTimeoutMsDefault = 1000;
/** Upstream's for its check at compactions. */
const corruptCheckIntervalMsDefault = 60_000;

interface Start {
  readonly config: EtcdConfig;
  readonly deps: EtcdDeps;
}

/**
 * A member alone in its cluster is ready when this resolves; one of several when {@link Etcd.ready} does.
 * @throws InconsistentError when it is to compare what it holds, and holds something else than its peers
 * @throws BootstrapError, LockedError, WalError, BboltError
 */
export async function startEtcd({ config, deps }: Start): Promise<Etcd> {
  const { dataDir } = config;
  if (dataDir === undefined) {
    const { identity, members } = newCluster(config);
    const machine = new Machine({ members: new Members(members), confState: confStateOf(members) });
    return serveInMemory({ config, deps }, identity, machine);
  }
  const { disk } = deps;
  assert(disk !== undefined, 'a data folder needs a disk');
  await disk.makeFolder(`${dataDir}/member`);
  const lock = await disk.lock(`${dataDir}/member/lock`);
  try {
    return await open({ config, deps }, disk, dataDir, lock);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

function serveInMemory({ config, deps }: Start, identity: MemberIdentity, machine: Machine): Etcd {
  const { member, tokens, authenticator } = createMember(
    { config, deps },
    { identity, machine, applied: { index: 0, term: 1 } },
  );
  member.startLeases();
  // What a compaction before the fork has left.
  void member.compacted();
  const ready = announce(member, deps.clock);
  ready.catch(() => {});
  return serve(
    { config, deps },
    { member, tokens, authenticator },
    {
      ready,
      // In memory there is nothing to fail.
      failed: new Promise(() => {}),
      fork: (forkDeps) => serveInMemory({ config, deps: forkDeps }, identity, machine.fork()),
      stop: async () => {},
    },
  );
}

async function open(start: Start, disk: Disk, dataDir: string, lock: AsyncDisposable): Promise<Etcd> {
  const { config, deps } = start;
  const { log, clock, prng, peers, inform = () => {} } = deps;
  const {
    logFileBytes = walFileBytesDefault,
    checkpointLogBytesMin = 32 << 20,
    snapshotCatchUpEntries = catchUpEntriesDefault,
    heartbeatIntervalMs = heartbeatIntervalMsDefault,
    electionTimeoutMs = electionTimeoutMsDefault,
    preVote = true,
  } = config;
  let joining: NewCluster['members'] = [];
  const isNew = !(await exists(disk, dataDir));
  if (isNew) {
    const joins = config.initialClusterState === 'existing';
    const cluster = joins ? await joinedCluster(config, peers) : newCluster(config);
    const { memberId, clusterId } = cluster.identity;
    if (joins) joining = cluster.members;
    const made = { memberId, clusterId, members: joins ? undefined : cluster.members };
    const folder = await createFolder(disk, dataDir, made, logFileBytes);
    await folder.wal[Symbol.asyncDispose]();
  }
  let folder = await openFolder(disk, dataDir, logFileBytes, snapshotCatchUpEntries);
  if (config.forceNewCluster) {
    log('the cluster begins anew with this member alone: --force-new-cluster');
    folder = await forceNewCluster(folder);
  }
  // A new member holds nothing yet.
  if (config.initialCorruptCheck && !isNew && peers !== undefined)
    try {
      await checkBeforeServing({ folder, peers, log, inform });
    } catch (error) {
      await folder.wal[Symbol.asyncDispose]();
      throw error;
    }
  // A member stays who it is, whatever its addresses are today.
  const { nodeID: memberId, clusterID: clusterId } = folder.metadata;
  const { name = 'default', clientUrls = ['http://localhost:2379'] } = config;
  const identity = { name, memberId, clusterId, clientUrls };
  const { promise: failed, resolve: onFailed } = Promise.withResolvers<unknown>();
  let replica: StartedReplica | undefined;
  const replayedTo = folder.hardState.commit;
  const { member, tokens, authenticator } = createMember(
    start,
    { identity, machine: folder.machine, applied: folder.applied },
    { onApplied: () => replica?.checkpointer.consider(), isReplay: (index) => index <= replayedTo },
  );
  replica = startReplica({
    identity,
    member,
    authenticator,
    folder,
    disk,
    dataDir,
    transport: peers,
    joining,
    clock,
    prng,
    tickMs: heartbeatIntervalMs,
    electionTicks: Math.max(2, Math.floor(electionTimeoutMs / heartbeatIntervalMs)),
    preVote,
    checkpointLogBytesMin,
    catchUpEntries: snapshotCatchUpEntries,
    log,
    onFailed,
  });
  const started = replica;
  // What a compaction before the stop has left.
  void member.compacted();
  const ready = announce(member, clock);
  ready.catch(() => {});
  const monitors: Disposable[] = [new VersionMonitor({ member, clock, peers, log })];
  if (config.promoteLearners === true) monitors.push(new LearnerPromoter({ member, clock, log, inform }));
  const { corruptCheckIntervalMs = corruptCheckIntervalMsDefault, compactHashCheckIntervalMs = 0 } = config;
  if (peers !== undefined && corruptCheckIntervalMs > 0)
    monitors.push(new CorruptionMonitor({ member, clock, peers, intervalMs: corruptCheckIntervalMs, log }));
  if (peers !== undefined && compactHashCheckIntervalMs > 0)
    monitors.push(
      new CompactHashMonitor({ member, clock, peers, intervalMs: compactHashCheckIntervalMs, log, inform }),
    );
  const etcd = serve(
    start,
    { member, tokens, authenticator },
    {
      ready,
      failed,
      fork() {
        throw new Error('a member with a folder does not fork: two cannot write to it');
      },
      async stop() {
        for (const monitor of monitors) monitor[Symbol.dispose]();
        try {
          await started[Symbol.asyncDispose]();
        } finally {
          await lock[Symbol.asyncDispose]();
        }
      },
    },
  );
  const alone =
    folder.machine.members.all().length <= 1 && joining.length === 0 && (config.initialCluster?.length ?? 1) === 1;
  if (alone) await Promise.race([ready, failed]);
  return etcd;
}

/** A member, and who is who to it. */
interface Created {
  readonly member: Member;
  readonly tokens: Tokens;
  readonly authenticator: Authenticator;
}

function createMember(
  { config, deps }: Start,
  of: {
    readonly identity: MemberIdentity;
    readonly machine: Machine;
    readonly applied: { readonly index: number; readonly term: number };
  },
  hooks: { readonly onApplied?: () => void; readonly isReplay?: (index: number) => boolean } = {},
): Created {
  const {
    requestBytesMax = requestBytesMaxDefault,
    quotaBytes = 2 * 1024 ** 3,
    requestMemoryBytes = requestMemoryBytesDefault(),
    electionTimeoutMs = electionTimeoutMsDefault,
    learnersMax = 1,
    strictReconfigCheck = true,
  } = config;
  const { clock, prng, log, inform, onChanges } = deps;
  const { onApplied, isReplay = () => false } = hooks;
  const tokens = createTokens(config.tokens ?? { kind: 'simple' }, { clock, prng, appliedIndex: of.applied.index });
  const member: Member = new Member({
    ...of,
    counters: new Counters(),
    tokens,
    clock,
    prng,
    requestBytesMax,
    quotaBytes,
    requestMemoryBytes,
    electionTimeoutMs,
    learnersMax,
    strictReconfigCheck,
    compaction: {
      ...config.compaction,
      onFinished: (revision) => inform?.(`finished scheduled compaction at revision ${revision}`),
    },
    onExpiryFailed: (id, error) => log(`lease ${id.toString(16)} could not be revoked: ${error}`),
    ...(onApplied && { onApplied }),
    onChanges: onChanges && ((changes) => isReplay(member.appliedIndex) || onChanges(changes)),
  });
  const { certificateNames = false } = config;
  const authenticator = new Authenticator({ auth: () => member.machine.auth, tokens, certificateNames });
  return { member, tokens, authenticator };
}

interface Life {
  readonly ready: Promise<void>;
  readonly failed: Promise<unknown>;
  readonly fork: Etcd['fork'];
  readonly stop: () => Promise<void>;
}

function serve(
  { config, deps }: Start,
  { member, tokens, authenticator }: Created,
  { ready, failed, fork, stop }: Life,
): Etcd {
  const {
    progressNotifyIntervalMs = 10 * 60_000,
    requestBytesMax = requestBytesMaxDefault,
    txnOpsMax = 128,
    autoCompaction,
    bcryptCost = 10,
    certificateNames = false,
    gateway: hasGateway = true,
    hosts = new Set(['*']),
    origins = new Set(['*']),
  } = config;
  const { clock, log } = deps;
  const compactor =
    autoCompaction &&
    new AutoCompactor({
      member,
      clock,
      settings: autoCompaction,
      onFailed: (error) => log(`the history could not be compacted: ${error}`),
    });
  const messageBytesMax = requestBytesMax + messageOverheadBytes;
  const passwords = bcryptPasswords(deps.prng);
  const base = [
    kvService(member, { txnOpsMax, authenticator }),
    watchService(member, { clock, authenticator, progressNotifyIntervalMs, fragmentBytesMax: messageBytesMax }),
    leaseService(member, authenticator),
    clusterService(member, { clock, authenticator }),
    maintenanceService(member, authenticator),
    authService(member, { authenticator, tokens, passwords, bcryptCost }),
    healthService(),
  ];
  // Locks and elections are clients of this very member, on behalf of whoever calls.
  const asCaller = ({ peer }: CallContext) => connectInMemory({ services: base, clock, peer });
  const services = [...base, lockService(asCaller), electionService(asCaller)];
  const leaderWatch = new LeaderWatch({
    clock,
    electionTimeoutMs: member.electionTimeoutMs,
    hasLeader: () => member.leader !== 0n,
  });
  const interceptor = gate(member, authenticator, leaderWatch);
  const { admission } = member;
  const connect = (peer?: Peer) => connectInMemory({ services, clock, interceptor, admission, ...(peer && { peer }) });
  const health = etcdHttpHandler(member);
  const debugVars = debugVarsHandler(member);
  const gateway = hasGateway ? gatewayHandler({ connect, messageBytesMax }) : undefined;
  return {
    services,
    dispatcher: createDispatcher({ services, clock, messageBytesMax, interceptor, admission }),
    untaken: (peer, bytes) => admission.untaken(peer, bytes),
    http: withAccessControl(async (request) => gateway?.(request) ?? debugVars(request) ?? health(request), {
      hosts,
      origins,
      certificateNamesCount: () => certificateNames && gateway !== undefined && member.machine.auth.enabled,
    }),
    health,
    member,
    connect,
    ready,
    failed,
    fork,
    async [Symbol.asyncDispose]() {
      compactor?.[Symbol.dispose]();
      leaderWatch[Symbol.dispose]();
      await handOver(member);
      member[Symbol.dispose]();
      passwords[Symbol.dispose]();
      await stop();
    },
  };
}
