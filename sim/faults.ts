/**
 * What goes wrong, drawn from the seed: power cuts, stops, processes that stand still, ways that are cut (also one way), bad networks, slow and full disks,
 * clocks that jump, and what operators do meanwhile: members come, are promoted and go, leadership moves, history is compacted.
 */
import { Cluster, CompactionRequest, KV, Maintenance } from '#api-etcd/gen/rpc.ts';
import { sleep } from '#std/clock.ts';
import { ask } from './ask.ts';
import type { SimCluster, SimMember } from './cluster.ts';
import type { CommittedLog } from './committed-log.ts';
import type { SimNetwork } from './world/network.ts';
import type { World } from './world/world.ts';

export interface FaultCounts {
  crashes: number;
  stops: number;
  pauses: number;
  partitions: number;
  oneWayCuts: number;
  storms: number;
  stalls: number;
  fullDisks: number;
  clockJumps: number;
  membershipChanges: number;
  leaderMoves: number;
  overthrows: number;
  votersLost: number;
  compactions: number;
}

export const noFaults = (): FaultCounts => ({
  crashes: 0,
  stops: 0,
  pauses: 0,
  partitions: 0,
  oneWayCuts: 0,
  storms: 0,
  stalls: 0,
  fullDisks: 0,
  clockJumps: 0,
  membershipChanges: 0,
  leaderMoves: 0,
  overthrows: 0,
  votersLost: 0,
  compactions: 0,
});

export interface FaultDeps {
  readonly world: World;
  readonly cluster: SimCluster;
  readonly network: SimNetwork;
  readonly log: CommittedLog;
  readonly counts: FaultCounts;
  readonly trace: (what: string) => void;
  readonly done: () => boolean;
  /** Between two faults. */
  readonly pauseMsMax: number;
  readonly membersMax: number;
}

const operatorTimeoutMs = 8000;

type Fault = (deps: FaultDeps) => void | Promise<void>;

/** How often each is drawn. */
const faults: readonly (readonly [number, Fault])[] = [
  [20, crash],
  [5, crashAll],
  [6, stopCleanly],
  [8, pause],
  [14, partition],
  [10, cutOneWay],
  [10, storm],
  [8, stall],
  [3, fillDisk],
  [3, jumpClock],
  [16, changeMembers],
  [5, moveLeader],
  [12, overthrow],
  [6, loseVoter],
  [8, compact],
];

/** Makes one fault after the other until it is done. Several may be at it at a time: each ends only what it has begun. */
export async function makeFaults(deps: FaultDeps): Promise<void> {
  const { world, done, pauseMsMax } = deps;
  while (!done()) {
    await sleep(world, world.between(10, pauseMsMax));
    if (done()) return;
    await world.weighted(faults)(deps);
  }
}

/** Whoever is down comes back. */
export async function bringBack({
  world,
  cluster,
  done,
}: Pick<FaultDeps, 'world' | 'cluster' | 'done'>): Promise<void> {
  while (!done()) {
    await sleep(world, world.between(20, 1500));
    const down = cluster.members.filter(({ run, removed }) => run === undefined && !removed);
    if (down.length > 0) cluster.start(world.pick(down));
  }
}

/** Everything works again, for good. */
export function endFaults({ cluster, network }: Pick<FaultDeps, 'cluster' | 'network'>): void {
  network.heal();
  for (const member of cluster.members) {
    if (member.run !== undefined) member.run.disk.full = false;
    cluster.start(member);
  }
}

const running = ({ cluster }: FaultDeps) => cluster.members.filter(({ run }) => run !== undefined);
const idOf = (member: SimMember) => member.run?.etcd?.member.identity.memberId;

/** The leader more often than others: there it hurts. */
function victim(deps: FaultDeps): SimMember | undefined {
  const { world, cluster } = deps;
  const all = running(deps);
  if (all.length === 0) return undefined;
  return world.chance(400) ? (cluster.leader ?? world.pick(all)) : world.pick(all);
}

function crash(deps: FaultDeps): void {
  const member = victim(deps);
  if (member === undefined) return;
  deps.counts.crashes++;
  deps.cluster.kill(member);
}

function crashAll(deps: FaultDeps): void {
  for (const member of running(deps)) {
    deps.counts.crashes++;
    deps.cluster.kill(member);
  }
}

function stopCleanly(deps: FaultDeps): void {
  const member = victim(deps);
  if (member?.run?.etcd === undefined) return;
  deps.counts.stops++;
  deps.cluster.stop(member);
}

function pause(deps: FaultDeps): void {
  const { world, counts, trace } = deps;
  const member = victim(deps);
  if (member?.run === undefined) return;
  counts.pauses++;
  const ms = world.between(50, 5000);
  trace(`pause ${member.name} ${ms}`);
  member.run.clock.stopFor(ms);
}

async function partition(deps: FaultDeps): Promise<void> {
  const { world, cluster, network, counts, trace } = deps;
  const ids = cluster.serving.map((member) => idOf(member)!);
  if (ids.length < 2) return;
  counts.partitions++;
  const leader = cluster.leader;
  // One alone, the leader if chance has it, or two sides.
  const alone = world.chance(500) ? (leader === undefined ? ids[0]! : idOf(leader)!) : undefined;
  const side = new Set(alone === undefined ? ids.filter(() => world.chance(500)) : [alone]);
  trace(`partition ${cluster.serving.filter((member) => side.has(idOf(member)!)).map(({ name }) => name)}`);
  const mend = network.cut(
    ids.flatMap((a) => ids.filter((b) => side.has(a) !== side.has(b)).map((b) => [a, b] as const)),
  );
  await sleep(world, world.between(100, 6000));
  mend();
  trace('heal');
}

async function cutOneWay(deps: FaultDeps): Promise<void> {
  const { world, cluster, network, counts, trace } = deps;
  const ids = cluster.serving.map((member) => idOf(member)!);
  if (ids.length < 2) return;
  counts.oneWayCuts++;
  const ways: [bigint, bigint][] = [];
  for (let left = world.between(1, 3); left > 0; left--) {
    const from = world.pick(ids);
    const to = world.pick(ids);
    if (from !== to) ways.push([from, to]);
  }
  const mend = network.cut(ways);
  trace('one way cut');
  await sleep(world, world.between(100, 6000));
  mend();
  trace('heal');
}

async function storm({ world, network, counts, trace }: FaultDeps): Promise<void> {
  counts.storms++;
  const ends = network.storm({
    lossPermille: world.pick([0, 10, 100, 300]),
    duplicatePermille: world.pick([0, 10, 200]),
    delayMsMax: world.pick([1, 20, 200]),
    reorders: world.chance(600),
  });
  trace(`weather ${JSON.stringify(network.weather)}`);
  await sleep(world, world.between(500, 6000));
  ends();
}

function stall(deps: FaultDeps): void {
  const { world, counts, trace } = deps;
  const member = victim(deps);
  if (member?.run === undefined) return;
  counts.stalls++;
  const ms = world.between(50, 4000);
  trace(`disk of ${member.name} stalls ${ms}`);
  member.run.disk.stallFor(ms);
}

async function fillDisk(deps: FaultDeps): Promise<void> {
  const { world, counts, trace } = deps;
  const member = victim(deps);
  if (member?.run === undefined) return;
  counts.fullDisks++;
  trace(`disk of ${member.name} is full`);
  const { disk } = member.run;
  disk.full = true;
  await sleep(world, world.between(100, 2000));
  disk.full = false;
}

function jumpClock(deps: FaultDeps): void {
  const { world, counts, trace } = deps;
  const member = victim(deps);
  if (member?.run === undefined) return;
  counts.clockJumps++;
  const ms = world.between(-3_600_000, 3_600_000);
  trace(`clock of ${member.name} jumps ${ms}`);
  member.run.clock.jump(ms);
}

async function moveLeader(deps: FaultDeps): Promise<void> {
  const { world, cluster, counts, trace } = deps;
  const { leader, serving } = cluster;
  if (leader === undefined || serving.length < 2) return;
  const target = world.pick(serving.filter((member) => member !== leader));
  trace(`move leader ${leader.name} -> ${target.name}`);
  const ending = await ask(world, leader, operatorTimeoutMs, (channel) =>
    channel.unary(Maintenance.methods.moveLeader, { targetID: idOf(target)! }),
  );
  if (ending.kind === 'answered') counts.leaderMoves++;
}

/**
 * Leaders one after the other, each before it has written much: the first is cut off with what only it has, the second dies as soon as it leads, then the first is back.
 * Their logs end differently, at about the same index.
 */
async function overthrow(deps: FaultDeps): Promise<void> {
  const { world, cluster, network, counts, trace } = deps;
  const { leader } = cluster;
  if (leader === undefined || cluster.serving.length < 3) return;
  counts.overthrows++;
  const id = idOf(leader)!;
  const others = cluster.serving.filter((member) => member !== leader).map((member) => idOf(member)!);
  trace(`overthrow ${leader.name}`);
  const mend = network.cut(others.flatMap((other) => [[id, other] as const, [other, id] as const]));
  for (let leftMs = 5000; leftMs > 0 && cluster.leader === leader; leftMs--) await sleep(world, 1);
  await sleep(world, world.between(0, 16) / 2);
  const next = cluster.leader;
  if (next !== undefined && next !== leader && world.chance(800)) {
    counts.crashes++;
    cluster.kill(next);
  }
  await sleep(world, world.between(0, 300));
  mend();
  trace('heal');
}

/**
 * Of three, one is away, one votes for the other and dies at once; then who was voted for is cut off, and who was away asks for the same vote, maybe in the same term.
 * What a member has promised must have outlived it.
 */
async function loseVoter(deps: FaultDeps): Promise<void> {
  const { world, cluster, network, counts, trace } = deps;
  const { leader, serving } = cluster;
  const others = serving.filter((member) => member !== leader && !member.run!.etcd!.member.isLearner);
  if (leader === undefined || others.length !== 2) return;
  counts.votersLost++;
  const next = world.pick(others);
  const cutOff = (target: SimMember) =>
    network.cut(
      [leader, ...others]
        .filter((member) => member !== target)
        .flatMap((member) => [[idOf(member)!, idOf(target)!] as const, [idOf(target)!, idOf(member)!] as const]),
    );
  trace(`${next.name} gets the vote of ${leader.name}`);
  const away = others.find((member) => member !== next)!;
  const mendAway = cutOff(away);
  const asked = ask(world, leader, operatorTimeoutMs, (channel) =>
    channel.unary(Maintenance.methods.moveLeader, { targetID: idOf(next)! }),
  );
  const leads = () => next.run?.etcd?.member.isLeader === true;
  for (let leftMs = 2000; leftMs > 0 && !leads(); leftMs -= 0.25) await sleep(world, 0.25);
  // Whoever has died meanwhile has no id any more.
  const mendNext = leads() && idOf(leader) !== undefined && idOf(away) !== undefined ? cutOff(next) : undefined;
  mendAway();
  if (mendNext !== undefined) {
    counts.crashes++;
    cluster.kill(leader);
    await sleep(world, world.between(5, 100));
    cluster.start(leader);
    await sleep(world, world.between(500, 5000));
    mendNext();
    trace('heal');
  }
  await asked;
}

async function compact({ world, cluster, log, counts, trace }: FaultDeps): Promise<void> {
  if (cluster.serving.length === 0) return;
  const revision = log.lastRevision - world.between(0, 200);
  if (revision < 2) return;
  const member = world.pick(cluster.serving);
  trace(`compact ${revision}`);
  log.compactionAsked = Math.max(log.compactionAsked, revision);
  const ending = await ask(world, member, operatorTimeoutMs, (channel) =>
    channel.unary(KV.methods.compact, CompactionRequest.create({ revision, physical: world.chance(300) })),
  );
  if (ending.kind === 'answered') counts.compactions++;
}

/** Grows by a learner that is promoted, or shrinks by one. */
async function changeMembers(deps: FaultDeps): Promise<void> {
  const { world, cluster, counts, trace, membersMax } = deps;
  const via = cluster.leader;
  if (via === undefined) return;
  const listed = await ask(world, via, operatorTimeoutMs, (channel) =>
    channel.unary(Cluster.methods.memberList, { linearizable: true }),
  );
  if (listed.kind !== 'answered') return;
  const { members } = listed.value;
  const learner = members.find(({ isLearner }) => isLearner);
  if (learner !== undefined) {
    trace('promote');
    const ending = await ask(world, via, operatorTimeoutMs, (channel) =>
      channel.unary(Cluster.methods.memberPromote, { id: learner.id }),
    );
    if (ending.kind === 'answered') counts.membershipChanges++;
    // One that was never started, or whose start was lost, makes place for another.
    else if (world.chance(300)) await remove(deps, via, learner.id);
    return;
  }
  if (members.length >= membersMax || (members.length > 2 && world.chance(400))) {
    // Of two, none leaves safely: if the other dies before its disk knows that the removal is committed, it waits for the vote of who is gone. (So it is
    // upstream.)
    if (members.length > 2) await remove(deps, via, world.pick(members).id);
    return;
  }
  const added = cluster.define({});
  // Nobody may start it before it has a place in the cluster.
  added.removed = true;
  trace(`add ${added.name}`);
  const ending = await ask(world, via, operatorTimeoutMs, (channel) =>
    channel.unary(Cluster.methods.memberAdd, { peerURLs: [added.url], isLearner: true }),
  );
  if (ending.kind !== 'answered') return;
  counts.membershipChanges++;
  added.removed = false;
  added.bootstrap = { initialClusterState: 'existing' };
  cluster.start(added);
  await crashYoung(deps, added);
}

/** A power cut while a member makes its folder, or right after. */
export async function crashYoung(
  { world, cluster, counts }: Pick<FaultDeps, 'world' | 'cluster' | 'counts'>,
  member: SimMember,
): Promise<void> {
  if (!world.chance(400)) return;
  await sleep(world, world.between(0, 80) / 4);
  counts.crashes++;
  cluster.kill(member);
}

async function remove({ world, cluster, counts, trace }: FaultDeps, via: SimMember, id: bigint): Promise<void> {
  trace(`remove ${cluster.members.find((member) => idOf(member) === id)?.name}`);
  cluster.removalsAsked.add(id);
  const ending = await ask(world, via, operatorTimeoutMs, (channel) =>
    channel.unary(Cluster.methods.memberRemove, { id }),
  );
  if (ending.kind === 'answered') counts.membershipChanges++;
}
