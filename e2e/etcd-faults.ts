/**
 * Three members of etcd as processes on three hosts, under load, while they are killed, stopped and put to sleep, lines between them are cut, lossy or slow, and disks
 * are full or read-only. Afterwards the simulator's checks: nothing acknowledged is lost, what clients saw is linearizable, watchers missed nothing, members hold the
 * same. In namespaces of its own; needs root.
 *
 *     bin/node e2e/etcd-faults.ts [--seconds=N] [--seed=N]
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KV, Maintenance, RangeRequest } from '#api-etcd/gen/rpc.ts';
import { sleep } from '#std/clock.ts';
import { endKey, firstKey, type Recorded, SimClient } from '../sim/clients.ts';
import { kvOf } from '../sim/committed-log.ts';
import { checkRecorded } from '../sim/oracles/history.ts';
import { Host } from './faults/hosts.ts';
import { MachineWorld } from './faults/machine-world.ts';
import { makeFaults, noFaults } from './faults/make-faults.ts';
import { Member } from './faults/members.ts';
import { firstDifference, Watcher } from './faults/watcher.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { eventually } from './shell.ts';
import { createSteps } from './steps.ts';

enterOwnNamespaces();

const flag = (name: string, byDefault: number) =>
  Number(process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? byDefault);
const seconds = flag('seconds', 30);
const seed = flag('seed', Date.now() % 2 ** 31);
const clientCount = 12;
const keyCount = 6;
const quietMs = 60_000;
process.stdout.write(`seed ${seed}, ${seconds} seconds\n`);

const { step, finish } = createSteps();
const folder = mkdtempSync(join(tmpdir(), 'wherry-faults-'));
const world = new MachineWorld(seed);
const violations: string[] = [];
const violated = (what: string) => void (violations.length < 10 && violations.push(what));
const recorded: Recorded = { operations: [], pastReads: [], unknown: 0, refused: 0 };
const counts = noFaults();
const hosts = await Host.start(3, folder);
const members = hosts.map((host) => new Member(host, hosts, violated));
const watchers = ['w0', 'w1', 'w2'].map((name) => new Watcher({ world, members, violated, name }));
let phase: 'faults' | 'quiet' | 'over' = 'faults';
const watching = watchers.map((watcher) => watcher.run(() => phase === 'over'));

const serves = (member: Member) =>
  eventually(
    `${member.name} serves`,
    () =>
      member.ask(3000, (channel) => channel.unary(KV.methods.range, RangeRequest.create({ key: Buffer.from('x') }))),
    ({ kind }) => kind === 'answered',
    quietMs,
  );

await step('three members on three hosts', async () => {
  for (const member of members) member.start();
  await Promise.all(members.map(serves));
});
await step(`${seconds} seconds of faults under load`, async () => {
  const done = () => phase !== 'faults';
  const clients = Array.from(
    { length: clientCount },
    (_, i) =>
      new SimClient(
        {
          ...{ world, recorded, keyCount, done },
          cluster: { serving: members },
          ask: (member: Member, timeoutMs, call) => member.ask(timeoutMs, call),
          marksDeletions: true,
        },
        `c${i}`,
      ),
  );
  const all = [
    ...clients.map((client) => client.run()),
    ...[0, 1].map(() => makeFaults({ world, members, counts, violated, done })),
  ];
  try {
    await Promise.race([sleep(world, seconds * 1000), Promise.all(all)]);
  } finally {
    phase = 'quiet';
    await Promise.all(all);
  }
});
await step('all is well again: every member serves, and all hold the same', async () => {
  for (const member of members) member.start();
  await Promise.all(members.map(serves));
  const hashes = () =>
    Promise.all(
      members.map(async ({ channel }) => {
        const { hash, hashRevision } = await channel.unary(Maintenance.methods.hashKV, { revision: 0 });
        return `${hash}@${hashRevision}`;
      }),
    );
  await eventually('hashes are equal', hashes, (all) => new Set(all).size === 1, quietMs);
  for (const member of members) {
    const range = { key: Buffer.from(firstKey), rangeEnd: Buffer.from(endKey) };
    const { header, kvs, count } = await member.channel.unary(KV.methods.range, RangeRequest.create(range));
    const read = { revision: header!.revision, kvs: kvs.map(kvOf), count };
    recorded.pastReads.push({ key: firstKey, end: endKey, ...read });
  }
});
await step('watchers were told of everything, once, in order', async () => {
  const { revision } = recorded.pastReads.at(-1)!;
  await eventually(
    'they have seen the last revision',
    async () => watchers.map(({ log }) => log.lastRevision),
    (seen) => seen.every((each) => each === revision),
    quietMs,
  );
  for (const { log } of watchers) assert.equal(firstDifference(log, watchers[0]!.log), undefined);
});
await step('nothing acknowledged is lost, and what clients saw is linearizable', () => {
  assert.ok(recorded.operations.length > 100, `${recorded.operations.length} operations`);
  checkRecorded({ log: watchers[0]!.log, recorded, leases: [], violated });
  assert.deepEqual(violations, []);
});

phase = 'over';
for (const member of members) await member.end('kill');
await Promise.all(watching);
const endings = members.map(({ name, ended }) => `${name} ${ended}`).join(', ');
const { operations, pastReads, unknown, refused } = recorded;
process.stdout.write(`operations ${operations.length + pastReads.length}, unknown ${unknown}, refused ${refused}, `);
process.stdout.write(
  `revisions ${watchers[0]!.log.lastRevision}, watches resumed ${watchers.reduce((sum, { resumed }) => sum + resumed, 0)}\n`,
);
process.stdout.write(
  `${Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')}; ended by themselves: ${endings}\n`,
);
for (const host of hosts) await host.end();
rmSync(folder, { recursive: true, force: true });
process.exit(finish());
