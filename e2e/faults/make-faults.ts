/** What goes wrong with members and between them, one thing after the other, several at a time. Each fault ends what it has begun. */
import { sleep } from '#std/clock.ts';
import type { ClientWorld } from '../../sim/clients.ts';
import { clientsAddress } from './hosts.ts';
import type { Member } from './members.ts';

export interface FaultCounts {
  kills: number;
  /** All members at once. */
  powerCuts: number;
  stops: number;
  pauses: number;
  partitions: number;
  oneWayCuts: number;
  lossyLines: number;
  slowLines: number;
  fullDisks: number;
  readOnlyDisks: number;
}

export const noFaults = (): FaultCounts => ({
  kills: 0,
  powerCuts: 0,
  stops: 0,
  pauses: 0,
  partitions: 0,
  oneWayCuts: 0,
  lossyLines: 0,
  slowLines: 0,
  fullDisks: 0,
  readOnlyDisks: 0,
});

export interface FaultDeps {
  readonly world: ClientWorld;
  readonly members: readonly Member[];
  readonly counts: FaultCounts;
  readonly violated: (what: string) => void;
  readonly done: () => boolean;
}

type Fault = (deps: FaultDeps, member: Member) => Promise<void>;

/** How often each comes beside the others. Those of a process and its disk find it free of others of the kind. */
const faults: readonly (readonly [number, Fault])[] = [
  [5, kill],
  [1, cutPower],
  [1, stop],
  [4, pause],
  [4, partition],
  [3, cutOneWay],
  [2, loseSome],
  [2, slowDown],
  [2, fillDisk],
  [1, startOnReadOnlyDisk],
];

/** Makes one fault after the other until it is done. Several may be at it at a time. */
export async function makeFaults(deps: FaultDeps): Promise<void> {
  const { world, members, done } = deps;
  while (!done()) {
    await sleep(world, world.between(50, 1500));
    if (done()) return;
    await world.weighted(faults)(deps, world.pick(members));
  }
}

async function kill({ world, counts }: FaultDeps, member: Member): Promise<void> {
  if (member.isBusy) return;
  counts.kills++;
  await member.during(async () => {
    await member.end('kill');
    await sleep(world, world.between(0, 3000));
    member.start();
  });
}

async function cutPower({ members, counts }: FaultDeps): Promise<void> {
  if (members.some(({ isBusy }) => isBusy)) return;
  counts.powerCuts++;
  await Promise.all(
    members.map((member) =>
      member.during(async () => {
        await member.end('kill');
        member.start();
      }),
    ),
  );
}

async function stop({ world, counts }: FaultDeps, member: Member): Promise<void> {
  if (member.isBusy) return;
  counts.stops++;
  await member.during(async () => {
    await member.end('stop');
    await sleep(world, world.between(0, 1000));
    member.start();
  });
}

async function pause({ world, counts }: FaultDeps, member: Member): Promise<void> {
  if (member.isBusy) return;
  counts.pauses++;
  await member.during(async () => {
    member.signal('SIGSTOP');
    await sleep(world, world.between(100, 5000));
    member.signal('SIGCONT');
  });
}

/** One alone, at times without its clients. */
async function partition({ world, members, counts }: FaultDeps, alone: Member): Promise<void> {
  counts.partitions++;
  const others = members.filter((member) => member !== alone);
  const clients = world.chance(300) ? [clientsAddress] : [];
  const ends = [
    await alone.host.drop([...others.map(({ host }) => host.address), ...clients]),
    ...(await Promise.all(others.map(({ host }) => host.drop([alone.host.address])))),
  ];
  await sleep(world, world.between(200, 5000));
  for (const end of ends) await end();
}

/** One hears nothing of another, which hears it. */
async function cutOneWay({ world, members, counts }: FaultDeps, deaf: Member): Promise<void> {
  counts.oneWayCuts++;
  const end = await deaf.host.drop([world.pick(members.filter((member) => member !== deaf)).host.address]);
  await sleep(world, world.between(200, 5000));
  await end();
}

async function loseSome({ world, members, counts }: FaultDeps, member: Member): Promise<void> {
  counts.lossyLines++;
  const addresses = members.filter((other) => other !== member).map(({ host }) => host.address);
  const end = await member.host.drop([...addresses, clientsAddress], world.pick([2, 10, 30]));
  await sleep(world, world.between(500, 5000));
  await end();
}

async function slowDown({ world, counts }: FaultDeps, member: Member): Promise<void> {
  if (member.host.isSlow) return;
  counts.slowLines++;
  const end = await member.host.slowDown(world.pick([128, 512, 2048]));
  await sleep(world, world.between(500, 5000));
  await end();
}

/** A member with a full disk may go on, or end; it goes on when there is room again. */
async function fillDisk({ world, counts }: FaultDeps, member: Member): Promise<void> {
  if (member.isBusy) return;
  counts.fullDisks++;
  await member.during(async () => {
    const makeRoom = member.host.fillDisk();
    await sleep(world, world.between(500, 4000));
    makeRoom();
    // What it had begun meanwhile may still fail.
    await sleep(world, 500);
  });
  member.start();
}

/** After a crash the disk may come back read-only: the member says so and ends, and has lost nothing when it can write again. */
async function startOnReadOnlyDisk({ world, counts, violated }: FaultDeps, member: Member): Promise<void> {
  if (member.isBusy) return;
  counts.readOnlyDisks++;
  await member.during(async () => {
    await member.end('kill');
    await member.host.remount('ro');
    member.start();
    const said = await Promise.race([member.endsByItself(), sleep(world, 20_000)]);
    if (said === undefined) violated(`${member.name} goes on with a disk that cannot be written`);
    else if (!/read-only file system/i.test(said)) violated(`${member.name} does not say why it cannot start: ${said}`);
    await member.end('kill');
    await member.host.remount('rw');
    member.start();
  });
}
