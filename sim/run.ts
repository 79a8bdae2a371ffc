/**
 * One simulation, from one seed: members, clients, watchers, leases and faults for a while, then quiet, then every check there is. The same seed does
 * the same, to the byte.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { KV, Maintenance, RangeRequest } from '#api-etcd/gen/rpc.ts';
import { utf8Encode } from '#std/bytes.ts';
import { sleep } from '#std/clock.ts';
import { ask } from './ask.ts';
import { endKey, firstKey, type PastRead, type Recorded, SimClient } from './clients.ts';
import { SimCluster, type SimMember } from './cluster.ts';
import { CommittedLog, kvOf } from './committed-log.ts';
import { bringBack, crashYoung, endFaults, type FaultCounts, makeFaults, noFaults } from './faults.ts';
import { holdLeases, type LeaseHeld, leasePrefix } from './leases.ts';
import { checkRecorded } from './oracles/history.ts';
import { SimWatcher, type WatchCounts } from './watchers.ts';
import { SimNetwork } from './world/network.ts';
import { World } from './world/world.ts';

/** What a simulation is made of. */
export interface RunOptions {
  readonly seed: number;
  /** Requests of clients, about. */
  readonly operations: number;
  /** All checks that members make of each other, often: whoever they name in error is a bug. They change what comes of a seed. */
  readonly checks?: boolean;
  /** Told what happens, with the time in it. */
  readonly trace?: (line: string) => void;
}

/** What came of it, and how much it has covered. */
export interface RunResult {
  readonly seed: number;
  /** Members that it began with. */
  readonly size: number;
  /** Promises that were broken; at most the first ten. */
  readonly violations: readonly string[];
  /** SHA-256 of what was agreed on and what clients heard. */
  readonly hash: string;
  readonly virtualMs: number;
  readonly operations: number;
  readonly unknown: number;
  readonly revisions: number;
  /** The highest term in which anybody leads at the end: about how many elections there were. */
  readonly terms: number;
  readonly messages: number;
  readonly snapshots: number;
  readonly expired: number;
  readonly faults: FaultCounts;
  readonly watches: WatchCounts;
}

/** More than this without an end is a cluster that stands still. */
const quietMsMax = 120_000;
const virtualMsMax = 600_000;
const violationsMax = 10;

/**
 * Runs one simulation to its end. While it runs the process's unhandled errors are its own: one at a time.
 * @returns never rejects for what members do: that is among the violations
 */
export async function runSeed({ seed, operations, checks = false, trace: told }: RunOptions): Promise<RunResult> {
  const world = new World(seed);
  const violations: string[] = [];
  let phase: 'faults' | 'quiet' | 'over' = 'faults';
  const trace = told === undefined ? () => {} : (what: string) => told(`${world.monotonicMs().toFixed(2)} ${what}`);
  const violated = (what: string) => {
    trace(`VIOLATION ${what}`);
    if (violations.length < violationsMax) violations.push(what);
  };
  const crashed = (error: unknown) => violated(`crashed: ${error instanceof Error ? error.stack : error}`);
  world.onError = crashed;
  process.on('unhandledRejection', crashed);
  process.on('uncaughtException', crashed);
  try {
    const network = new SimNetwork(world);
    const log = new CommittedLog(world, violated);
    const size = world.pick([1, 3, 3, 3, 3, 5, 5]);
    const recorded: Recorded = { operations: [], pastReads: [], unknown: 0, refused: 0 };
    const config = {
      logFileBytes: world.pick([16, 64, 256]) << 10,
      checkpointLogBytesMin: world.pick([8, 32, 128]) << 10,
      snapshotCatchUpEntries: world.pick([10, 50, 500]),
      progressNotifyIntervalMs: 1000,
      learnersMax: 1,
      ...(checks && { corruptCheckIntervalMs: 5000, compactHashCheckIntervalMs: 3000, initialCorruptCheck: true }),
    };
    const cluster = new SimCluster({ world, network, log, config, violated, trace }, size);
    const working = () => phase === 'faults' && violations.length === 0;
    const counts = noFaults();
    const leases: LeaseHeld[] = [];
    const watches: WatchCounts = { events: 0, resumed: 0, progress: 0, compacted: 0 };
    const keyCount = world.between(3, 9);
    const clientCount = world.pick([6, 16, 48]);
    const holderCount = world.pick([2, 2, 8]);
    const clients = Array.from(
      { length: clientCount },
      (_, i) =>
        new SimClient(
          {
            ...{ world, cluster, recorded, keyCount, done: () => !working() },
            ask: (member: SimMember, timeoutMs, call) => ask(world, member, timeoutMs, call),
          },
          `c${i}`,
        ),
    );
    const watchers = [
      { name: 'w0', key: firstKey, end: endKey },
      { name: 'w1', key: `${firstKey}1`, end: undefined },
      { name: 'w2', key: leasePrefix, end: 'lease0' },
    ].map(
      (watch) =>
        new SimWatcher({ world, cluster, log, counts: watches, violated, done: () => phase === 'over', ...watch }),
    );
    const pauseMsMax = world.pick([200, 600, 2000]);
    const all: Promise<void>[] = [
      ...clients.map((client) => client.run()),
      ...watchers.map((watcher) => watcher.run()),
      ...Array.from({ length: holderCount }, (_, i) =>
        holdLeases({
          world,
          cluster,
          held: leases,
          operations: recorded.operations,
          name: `l${i}`,
          done: () => !working(),
        }),
      ),
      ...[0, 1].map(() =>
        makeFaults({
          world,
          cluster,
          network,
          log,
          counts,
          trace,
          done: () => !working(),
          pauseMsMax,
          membersMax: Math.max(3, size),
        }),
      ),
      ...cluster.members.map((member) => crashYoung({ world, cluster, counts }, member)),
      bringBack({ world, cluster, done: () => phase === 'over' }),
    ];
    for (const each of all) each.catch(crashed);

    if (!(await world.until(() => violations.length > 0 || recorded.operations.length >= operations, virtualMsMax)))
      violated(`only ${recorded.operations.length} of ${operations} operations in ${virtualMsMax} ms`);
    phase = 'quiet';
    trace('quiet');
    endFaults({ cluster, network });
    if (violations.length === 0) {
      const settled = await settle(world, cluster, watchers, log);
      if (settled !== undefined) violated(settled);
      else await compareMembers({ world, cluster, log, recorded, violated });
    }
    phase = 'over';
    await world.passes(10_000);
    const { expired } = violations.length === 0 ? checkRecorded({ log, recorded, leases, violated }) : { expired: 0 };
    const { terms } = cluster;
    for (const member of cluster.members) cluster.kill(member);
    return {
      seed,
      size,
      violations,
      hash: hashOf(log, recorded),
      virtualMs: world.monotonicMs(),
      operations: recorded.operations.length + recorded.pastReads.length,
      unknown: recorded.unknown,
      revisions: log.lastRevision,
      terms,
      messages: network.counts.messages,
      snapshots: network.counts.snapshots,
      expired,
      faults: counts,
      watches,
    };
  } finally {
    process.off('unhandledRejection', crashed);
    process.off('uncaughtException', crashed);
  }
}

/** Nothing is wrong any more: everybody must agree, and watchers must have seen all of it. @returns what did not come to that */
async function settle(
  world: World,
  cluster: SimCluster,
  watchers: readonly SimWatcher[],
  log: CommittedLog,
): Promise<string | undefined> {
  const agreed = () => {
    // One that was removed while it was away may not know it: nobody waits for it.
    // Nor for one that was added without anybody hearing of it: nobody starts it.
    const wanted = cluster.leader === undefined ? [] : cluster.listed().filter(({ removed }) => !removed);
    const members = wanted.map(({ run }) => run?.etcd?.member);
    if (members.length === 0 || members.some((member) => member === undefined || member.leader === 0n)) return false;
    return new Set(members.map((member) => `${member!.leader} ${member!.appliedIndex}`)).size === 1;
  };
  if (!(await world.until(agreed, quietMsMax)))
    return `the cluster stands still: ${cluster.members
      .map(({ name, run, removed }) => {
        const member = run?.etcd?.member;
        return `${name} ${removed ? 'removed' : member === undefined ? 'down' : `leader ${member.leader.toString(16)} term ${member.term} applied ${member.appliedIndex} of ${member.committedIndex}`}`;
      })
      .join('; ')}`;
  const behind = watchers.find((watcher) => watcher.seen < log.lastRevision);
  if (
    behind === undefined ||
    (await world.until(() => watchers.every(({ seen }) => seen >= log.lastRevision), quietMsMax))
  )
    return undefined;
  return `a watcher has seen only up to ${behind.seen} of ${log.lastRevision}`;
}

interface Comparison {
  readonly world: World;
  readonly cluster: SimCluster;
  readonly log: CommittedLog;
  readonly recorded: Recorded;
  readonly violated: (what: string) => void;
}

/**
 * All members hold the same, hash by hash at one revision, and each reads all that was agreed on. Learners give no hashes, and read what they have. Whoever was removed
 * before it heard of anything, even of that, is none.
 */
async function compareMembers({ world, cluster, log, recorded, violated }: Comparison): Promise<void> {
  const endMs = world.monotonicMs() + quietMsMax;
  const listed = () => {
    const all = cluster.listed();
    return cluster.serving.filter((member) => all.includes(member));
  };
  const voters = () => listed().filter((member) => !isLearner(member));
  let told: (readonly [member: string, revision: number, state: string])[];
  // Until leases have run out one answer may be of a later revision than another; and any request may get lost.
  do {
    if (world.monotonicMs() > endMs) {
      violated(`members do not answer for their hashes at one revision: ${told!.map((each) => each.join(' '))}`);
      return;
    }
    await completes(world, sleep(world, 1000));
    told = await completes(world, askHashes(world, voters()));
  } while (told.length !== voters().length || new Set(told.map(([, revision]) => revision)).size !== 1);
  if (new Set(told.map(([, , state]) => state)).size !== 1)
    violated(`members hold different states at one revision: ${told.map((each) => each.join(' ')).join(', ')}`);
  for (const member of listed()) {
    const before = log.lastRevision;
    const read = await completes(world, readAll(world, member, endMs));
    if (read === undefined) violated(`${member.name} does not answer a read when all is quiet`);
    else if (read.revision < before && !isLearner(member))
      violated(`${member.name} reads revision ${read.revision}, after ${before}`);
    else recorded.pastReads.push(read);
  }
}

const isLearner = ({ run }: SimMember) => run?.etcd?.member.isLearner === true;

/** Of those that answer: who, the revision, and hash and compaction there. */
async function askHashes(world: World, members: readonly SimMember[]): Promise<(readonly [string, number, string])[]> {
  const endings = await Promise.all(
    members.map((member) =>
      ask(world, member, 5000, (channel) => channel.unary(Maintenance.methods.hashKV, { revision: 0 })),
    ),
  );
  return endings.flatMap((ending, i) => {
    if (ending.kind !== 'answered') return [];
    const { hash, hashRevision, compactRevision } = ending.value;
    return [[members[i]!.name, hashRevision, `${hash} compacted ${compactRevision}`] as const];
  });
}

/** Every key that there is, leases' included; undefined when there was no answer until then. */
async function readAll(world: World, member: SimMember, endMs: number): Promise<PastRead | undefined> {
  const [key, end] = ['a', '{'];
  while (world.monotonicMs() < endMs) {
    const ending = await ask(world, member, 5000, async (channel) => {
      const serializable = isLearner(member);
      const request = RangeRequest.create({ key: utf8Encode(key), rangeEnd: utf8Encode(end), serializable });
      const { header, kvs, count } = await channel.unary(KV.methods.range, request);
      return { revision: header!.revision, kvs: kvs.map(kvOf), count };
    });
    if (ending.kind === 'answered') return { key, end, ...ending.value };
    await sleep(world, 100);
  }
  return undefined;
}

/** Lets time pass until it has settled. @throws AssertionError when it does not */
async function completes<T>(world: World, promise: Promise<T>): Promise<T> {
  let over = false;
  const ended = () => {
    over = true;
  };
  promise.then(ended, ended);
  assert(await world.until(() => over, 2 * quietMsMax), 'whatever is waited for has an end of its own');
  return promise;
}

function hashOf(log: CommittedLog, { operations, pastReads }: Recorded): string {
  const hash = createHash('sha256');
  for (const [revision, { changes, atMs }] of log.entries()) {
    hash.update(`${revision} ${atMs}\n`);
    for (const { record } of changes) hash.update(record);
  }
  const text = (value: unknown) =>
    JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)) ?? '';
  for (const operation of operations) hash.update(text(operation));
  for (const read of pastReads) hash.update(text(read));
  return hash.digest('hex');
}
