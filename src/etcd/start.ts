/**
 * Starts a member of a cluster of one: wires machine, log and services together. It opens no port; whoever wants one gives
 * `services` or `dispatcher`, and `http`, to a listener.
 */

import { ConfChange, type Entry, EntryType } from '#api-etcd/gen/raft.ts';
import { Metadata } from '#api-etcd/gen/server_metadata.ts';
import { bcryptPasswords } from '#host/bcrypt.ts';
import type { Disk } from '#host/disk.ts';
import type { Version } from '#mvcc/version.ts';
import type { BoundService, CallContext, Channel, Peer } from '#rpc/call.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { createDispatcher, type Interceptor, type RpcDispatcher } from '#rpc/server.ts';
import { assert } from '#std/assert.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { walFileBytesDefault } from '#storage/wal/wal.ts';
import type { HttpHandler } from '#transport/http.ts';
import { Authenticator } from './auth/authenticator.ts';
import { authService } from './auth/service.ts';
import { createTokens, type TokenOptions } from './auth/token-options.ts';
import { type AutoCompaction, AutoCompactor } from './auto-compactor.ts';
import { confStateOf } from './checkpoint/backend.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import { loadCheckpoint } from './checkpoint/save.ts';
import { type ClusterMember, Members } from './cluster/members.ts';
import { clusterService } from './cluster/service.ts';
import { electionService } from './concurrency/election.ts';
import { lockService } from './concurrency/lock.ts';
import { healthService } from './health/service.ts';
import { etcdHttpHandler } from './http.ts';
import { clusterIdOf, initialMembers, type MemberIdentity } from './identity.ts';
import { DiskJournal } from './journal.ts';
import { kvService } from './kv/service.ts';
import { leaseService } from './lease/service.ts';
import { Machine } from './machine.ts';
import { maintenanceService } from './maintenance/service.ts';
import { Member } from './member.ts';
import { Counters } from './metrics.ts';
import { clusterVersion } from './version.ts';
import { watchService } from './watch/service.ts';

export interface EtcdConfig {
  /** Default `default`. */
  readonly name?: string;
  /** Default `http://localhost:2380`; with the token they make the member's and the cluster's id. */
  readonly peerUrls?: readonly string[];
  /** What members tell clients about themselves. Default `http://localhost:2379`. */
  readonly clientUrls?: readonly string[];
  /** Default `etcd-cluster`. */
  readonly clusterToken?: string;
  /** Undefined keeps everything in memory only. */
  readonly dataDir?: string;
  /** Files of the log are cut at this size. Default 64 MB, as upstream's. */
  readonly logFileBytes?: number;
  /** The state is saved when the log since then weighs as much as the state, and at least this. Default 32 MiB. */
  readonly checkpointLogBytesMin?: number;
  /** `--watch-progress-notify-interval`; default 10 minutes. */
  readonly progressNotifyIntervalMs?: number;
  /** `--max-request-bytes`; default 1.5 MiB. */
  readonly requestBytesMax?: number;
  /** `--auto-compaction-mode` and `-retention`; off by default. */
  readonly autoCompaction?: AutoCompaction;
  /** `--quota-backend-bytes`; default 2 GiB, 0 is no limit. */
  readonly quotaBytes?: number;
  /** `--max-txn-ops`; default 128. */
  readonly txnOpsMax?: number;
  /** `--auth-token`; default simple tokens. */
  readonly tokens?: TokenOptions;
  /** `--bcrypt-cost`; default 10. */
  readonly bcryptCost?: number;
  /** `--client-cert-auth`: the common name of a client's certificate is its user. */
  readonly certificateNames?: boolean;
}

export interface EtcdDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  /** Where `dataDir` is. */
  readonly disk?: Disk;
  /** What an operator should know; one line each. */
  readonly log: (message: string) => void;
  /** Told of every change to a key as it happens, in order; not of those in the log of a start before. */
  readonly onChanges?: (changes: readonly Version[]) => void;
}

export interface Etcd extends AsyncDisposable {
  readonly services: readonly BoundService[];
  readonly dispatcher: RpcDispatcher;
  readonly http: HttpHandler;
  /** Resolves, with why, when the log cannot be written any more: every write is refused from then on. */
  readonly failed: Promise<unknown>;
  /** Calls this member in the same process. The channel is the caller's to dispose. */
  connect(peer?: Peer): Channel;
  /** Another member with the same data, from now on its own; in constant time. In memory only. */
  fork(deps: EtcdDeps): Etcd;
}

const requestBytesMaxDefault = 1.5 * 1024 * 1024;
/** What gRPC may receive beyond the largest request. */
const messageOverheadBytes = 512 * 1024;

export async function startEtcd({
  config,
  deps,
}: {
  readonly config: EtcdConfig;
  readonly deps: EtcdDeps;
}): Promise<Etcd> {
  const {
    name = 'default',
    peerUrls = ['http://localhost:2380'],
    clientUrls = ['http://localhost:2379'],
    clusterToken = 'etcd-cluster',
    dataDir,
  } = config;
  const members = initialMembers([{ name, peerUrls }], clusterToken);
  const memberId = members[0]!.id;
  const identity = { name, memberId, clusterId: clusterIdOf([memberId]), clientUrls };
  if (dataDir === undefined) {
    const machine = new Machine({ members: new Members(members), confState: confStateOf(members) });
    return serve({ identity, machine, config, deps });
  }
  const { disk } = deps;
  assert(disk !== undefined, 'a data folder needs a disk');
  await disk.makeFolder(`${dataDir}/member`);
  const lock = await disk.lock(`${dataDir}/member/lock`);
  try {
    return await open({ dataDir, identity, members, config, deps, disk, lock });
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

async function open(options: {
  readonly dataDir: string;
  readonly identity: MemberIdentity;
  readonly members: readonly ClusterMember[];
  readonly config: EtcdConfig;
  readonly deps: EtcdDeps;
  readonly disk: Disk;
  readonly lock: AsyncDisposable;
}): Promise<Etcd> {
  const { dataDir, identity, members, config, deps, disk, lock } = options;
  const { log } = deps;
  const snapFolder = `${dataDir}/member/snap`;
  const saved = await loadCheckpoint(disk, snapFolder);
  const savedIndex = saved?.applied.index ?? 0;
  const counters = new Counters();
  const { promise: failed, resolve: fail } = Promise.withResolvers<unknown>();
  const { journal, metadata, entries } = await DiskJournal.open({
    disk,
    folder: `${dataDir}/member/wal`,
    fileBytes: config.logFileBytes ?? walFileBytesDefault,
    metadata: Metadata.create({ nodeID: identity.memberId, clusterID: identity.clusterId }),
    members,
    clock: deps.clock,
    onSynced: (seconds) => counters.walSync.observe(seconds),
    onFailed(error) {
      log(`the log cannot be written any more: ${error}`);
      fail(error);
    },
  });
  const missing = entries[0] === undefined ? 0 : entries[0].index - savedIndex - 1;
  if (missing > 0) throw new Error(`${dataDir}: ${missing} entries between the saved state and the log are missing`);
  // A member stays who it is, whatever it is called today.
  const known = { ...identity, memberId: metadata.nodeID, clusterId: metadata.clusterID };
  const etcd = serve({
    identity: known,
    machine: saved?.machine ?? new Machine(),
    config,
    deps,
    durable: { journal, disk, snapFolder, savedIndex, lock, failed },
    entries: entries.filter(({ index }) => index > savedIndex),
    counters,
  });
  await etcd.announced;
  return etcd;
}

interface Durable {
  readonly journal: DiskJournal;
  readonly disk: Disk;
  readonly snapFolder: string;
  readonly savedIndex: number;
  /** Nobody else opens the folder while it is held. */
  readonly lock: AsyncDisposable;
  readonly failed: Promise<unknown>;
}

interface ServeOptions {
  readonly identity: MemberIdentity;
  readonly machine: Machine;
  readonly config: EtcdConfig;
  readonly deps: EtcdDeps;
  readonly durable?: Durable;
  readonly entries?: readonly Entry[];
  readonly counters?: Counters;
}

function serve({
  identity,
  machine,
  config,
  deps,
  durable,
  entries = [],
  counters = new Counters(),
}: ServeOptions): Etcd & {
  readonly announced: Promise<void>;
} {
  const {
    progressNotifyIntervalMs = 10 * 60_000,
    requestBytesMax = requestBytesMaxDefault,
    txnOpsMax = 128,
    quotaBytes = 2 * 1024 ** 3,
    checkpointLogBytesMin = 32 << 20,
    bcryptCost = 10,
    certificateNames = false,
  } = config;
  const { clock, prng, log } = deps;
  let replayed = false;
  const tokens = createTokens(config.tokens ?? { kind: 'simple' }, { clock, prng });
  const passwords = bcryptPasswords(prng);
  const member = new Member({
    identity,
    machine,
    counters,
    tokens,
    journal: durable?.journal,
    clock,
    prng,
    requestBytesMax,
    quotaBytes,
    onExpiryFailed: (id, error) => log(`lease ${id.toString(16)} could not be revoked: ${error}`),
    onApplied: () => checkpointer?.consider(),
    onChanges: deps.onChanges && ((changes) => replayed && deps.onChanges?.(changes)),
  });
  const checkpointer =
    durable &&
    new Checkpointer({
      disk: durable.disk,
      clock,
      folder: durable.snapFolder,
      member,
      journal: durable.journal,
      savedIndex: durable.savedIndex,
      logBytesMin: checkpointLogBytesMin,
      onFailed: (error) => log(`the state could not be saved: ${error}`),
    });
  for (const { type, data, index } of entries) {
    if (data === undefined || data.length === 0) continue;
    if (type === EntryType.EntryNormal) member.replay(data, index);
    else if (type === EntryType.EntryConfChange) {
      machine.members.apply(ConfChange.decode(data));
      machine.confState = confStateOf(machine.members.all());
    }
  }
  replayed = true;
  // What a compaction before the stop, or before the fork, has left.
  void member.compacted();
  const compactor =
    config.autoCompaction &&
    new AutoCompactor({
      member,
      clock,
      settings: config.autoCompaction,
      onFailed: (error) => log(`the history could not be compacted: ${error}`),
    });
  const announced = announce(member);
  const messageBytesMax = requestBytesMax + messageOverheadBytes;
  const authenticator = new Authenticator({ auth: () => member.machine.auth, tokens, certificateNames });
  const base = [
    kvService(member, { txnOpsMax, authenticator }),
    watchService(member, { clock, authenticator, progressNotifyIntervalMs, fragmentBytesMax: messageBytesMax }),
    leaseService(member, authenticator),
    clusterService(member, authenticator),
    maintenanceService(member, authenticator),
    authService(member, { authenticator, tokens, passwords, bcryptCost }),
    healthService(),
  ];
  // Locks and elections are clients of this very member, on behalf of whoever calls.
  const asCaller = ({ peer }: CallContext) => connectInMemory({ services: base, clock, peer });
  const services = [...base, lockService(asCaller), electionService(asCaller)];
  const interceptor: Interceptor = (_method, context) => authenticator.tokenKnown(context);
  return {
    services,
    dispatcher: createDispatcher({ services, clock, messageBytesMax, interceptor }),
    http: etcdHttpHandler(member),
    connect: (peer) => connectInMemory({ services, clock, interceptor, ...(peer && { peer }) }),
    announced,
    // In memory there is nothing to fail.
    failed: durable?.failed ?? new Promise(() => {}),
    fork(forkDeps) {
      assert(durable === undefined, 'a member with a folder does not fork: two cannot write to it');
      return serve({ identity, machine: machine.fork(), config, deps: forkDeps });
    },
    async [Symbol.asyncDispose]() {
      compactor?.[Symbol.dispose]();
      member[Symbol.dispose]();
      passwords[Symbol.dispose]();
      if (durable === undefined) return;
      const { journal, lock } = durable;
      try {
        await journal.flushed();
        // What a disk did not take, it will not take now: the state before is whole.
        if (!journal.hasFailed) await checkpointer?.finish();
      } finally {
        await journal[Symbol.asyncDispose]();
        await lock[Symbol.asyncDispose]();
      }
    },
  };
}

/** Tells the cluster what only the member itself knows, where that is new. */
async function announce(member: Member): Promise<void> {
  const { machine, identity } = member;
  const { memberId: memberID, name, clientUrls } = identity;
  const known = machine.members.get(memberID);
  if (known?.name !== name || known.clientUrls.join() !== clientUrls.join())
    await member.propose({
      clusterMemberAttrSet: { memberID, memberAttributes: { name, clientUrls: [...clientUrls] } },
    });
  if (machine.clusterVersion === '') await member.propose({ clusterVersionSet: { ver: clusterVersion } });
}
