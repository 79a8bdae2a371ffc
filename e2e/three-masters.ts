/**
 * Three control planes on one machine: each is killed, whatever it leads, while kubectl and a client write; pods run on, nothing acknowledged is lost, `up` brings back who
 * died. Then the process of the node dies, a control plane sleeps, two are gone at once, all stop; and the same on three members of Debian's etcd. Needs
 * root and the reference packages.
 *
 *     bin/node e2e/three-masters.ts
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdCluster } from '#testkit/etcd-cluster.ts';
import { assertInventory, takeInventory } from '#testkit/inventory.ts';
import { assertKept, type Load, startLoad } from './masters-load.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { openScene } from './scene.ts';
import { eventually, run, start, untilReady } from './shell.ts';
import { createSteps } from './steps.ts';

const runId = enterOwnNamespaces();

const { step, finish } = createSteps();
const scene = await openScene(runId, 'masters', { step });
const { kubectl, tool, cluster, env, wherry, kubectlPath, home, dataDir, name, doc, startDoc } = scene;

interface Plane {
  readonly name: string;
  readonly pid?: number;
  readonly state: string;
  readonly lag?: number;
  readonly role?: string;
}
interface Status {
  readonly leader?: string;
  readonly term?: number;
  readonly controlPlanes: readonly Plane[];
  readonly leases: readonly { readonly name: string; readonly holder: string }[];
}
const status = async () => JSON.parse(await tool('status', '-o', 'json', ...cluster)) as Status;
const holderOf = ({ leases }: Status, lease: string) => leases.find((one) => one.name === lease)?.holder;
const pidOf = ({ controlPlanes }: Status, plane: string) => controlPlanes.find((one) => one.name === plane)!.pid!;
const allReady = () =>
  eventually(
    'all are ready and have caught up',
    status,
    ({ controlPlanes }) => controlPlanes.every(({ state, lag }) => state === 'ready' && lag !== undefined && lag < 20),
    60_000,
  );
const settled = () =>
  eventually(
    'one leads, and each lease is held by one that lives',
    status,
    (now) => {
      const live = now.controlPlanes.filter(({ state }) => state === 'ready').map((plane) => plane.name);
      return (
        now.leader !== undefined && now.leases.length === 2 && now.leases.every(({ holder }) => live.includes(holder))
      );
    },
    60_000,
  );
const programs = () => takeInventory(scene.mine).processes.filter((line) => /^(\/bin)?\/hello/.test(line));

const led = () => eventually('one leads', status, ({ leader }) => leader !== undefined, 30_000);

/** Kills one while the load runs; `up` brings it back. @param untilSettled waits also for the leases that it held */
async function killed(load: Load, victim: string, untilSettled = true): Promise<void> {
  const before = programs();
  const pid = pidOf(await status(), victim);
  load.longestGapMs();
  process.kill(pid, 'SIGKILL');
  const now = untilSettled ? await settled() : await led();
  assert.equal(now.controlPlanes.find((plane) => plane.name === victim)!.state, 'dead');
  await kubectl('get', 'pods');
  assert.deepEqual(programs(), before, 'the same processes');
  const said = await doc('npx wherry up', { more: cluster });
  assert.match(said, new RegExp(`✓ ${victim} is back \\(pid \\d+\\) +\\d+ ms`));
  await allReady();
  process.stdout.write(`        longest time between two writes by kubectl: ${Math.round(load.longestGapMs())} ms\n`);
}

try {
  await step('up: three control planes, one address, a node', async () => {
    scene.up = startDoc('npx wherry up --control-planes 3', { more: cluster });
    await untilReady(scene.up);
    const { controlPlanes, leader } = await settled();
    assert.equal(controlPlanes.length, 3);
    assert.equal(controlPlanes.filter(({ role }) => role === 'leader').length, 1);
    assert.ok(leader !== undefined);
  });
  await step('kubectl works: a deployment, a service by its name, logs, exec', async () => {
    await kubectl('create', 'deployment', 'hello', '--image=wherry/hello:1', '--replicas=2');
    await kubectl('expose', 'deployment', 'hello', '--port=80');
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s');
    await eventually(
      'the service answers',
      () => kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello.default.svc.cluster.local'),
      (text) => text.includes('Hello from hello-'),
    );
    assert.match(await kubectl('logs', 'deploy/hello'), /serves on port 80/);
    assert.match(await tool('why', 'deployment/hello', ...cluster), /create +kubernetes-admin/);
  });
  await step('status: a table of control planes and of leases', async () => {
    const text = await doc('npx wherry status', { more: cluster });
    assert.match(text, /^CONTROL PLANE +PID +STATE +ROLE +TERM +COMMITTED +APPLIED +LAG +MEMORY$/m);
    assert.equal(text.match(/^cp-\d +\d+ +ready +(leader|follower) +\d+ +\d+ +\d+ +\d+ +\d+ MiB$/gm)?.length, 3);
    assert.match(text, /^kube-scheduler +cp-\d +\d+\.\d s ago$/m);
  });

  const watching = startDoc('npx wherry status --watch', { more: cluster });
  const load = startLoad(scene, 'load');
  const loads = [load];
  await sleep(2000);
  await step('kill -9 of the one whose member of etcd leads', async () => {
    await killed(load, (await status()).leader!);
  });
  await step('kill -9 of the one that holds the lease of the scheduler', async () => {
    await killed(load, holderOf(await status(), 'kube-scheduler')!);
  });
  await step('kill -9 of a follower', async () => {
    const now = await status();
    await killed(load, now.controlPlanes.find(({ role }) => role === 'follower')!.name);
  });
  await step('kill -9 of each in turn, as soon as the one before is back', async () => {
    for (const plane of ['cp-1', 'cp-2', 'cp-3']) await killed(load, plane, false);
  });
  await step('the watch told of leaders, terms, leases and gaps', async () => {
    await watching.interrupt();
    const said = watching.output();
    assert.match(said, /^\S+ cp-\d leads, term \d+, \d+ ms without a leader$/m);
    assert.match(said, /^\S+ kube-scheduler is held by cp-\d, -?\d+ ms after its last renewal by another$/m);
    assert.match(said, /^\S+ cp-\d is dead$/m);
    assert.match(said, /^\S+ cp-\d leads, term \d+, index \d+; cp-1 \w+/m);
    for (const [line] of said.matchAll(/^.* (?:without a leader|renewal by another)$/gm))
      process.stdout.write(`        ${line}\n`);
  });
  await step('every acknowledged write is there, and no new connection was refused', async () => {
    await load.finish();
    await assertKept(scene, load);
    process.stdout.write(
      `        ${load.acknowledged.size} writes acknowledged; kubectl was called again ${load.retries.length} times\n`,
    );
    for (const why of load.retries) process.stdout.write(`        ${why.split('\n').at(-1)}\n`);
  });
  await step('a rollout goes on under the new leaders', async () => {
    await kubectl('scale', 'deployment/hello', '--replicas=4');
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s');
  });
  await step('kill -9 of up: control planes and pods run on, and the next up takes them over', async () => {
    const before = { planes: (await status()).controlPlanes.map(({ pid }) => pid), pods: programs() };
    // With the shell and the npx it was started by.
    process.kill(-scene.up.child.pid!, 'SIGKILL');
    await scene.up.ended;
    assert.match(await tool('status', ...cluster), /its node does not run/);
    await kubectl('create', 'configmap', 'meanwhile', '--from-literal=a=b');
    await scene.startUp();
    assert.match(scene.up.output(), /control plane cp-1 \(pid \d+\) taken over/);
    assert.deepEqual({ planes: (await status()).controlPlanes.map(({ pid }) => pid), pods: programs() }, before);
    await kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello');
  });
  await step('a second up is refused in one line while none is dead, and so is another number', async () => {
    const second = await run(wherry, ['up', ...cluster], { env, mayFail: true });
    assert.equal(second.code, 3);
    assert.match(second.stderr, /^wherry: cluster \S+ is already running \(pid \d+\) at \S+\n$/);
    const five = await run(wherry, ['up', ...cluster, '--control-planes', '5'], { env, mayFail: true });
    assert.equal(five.code, 2);
    assert.match(five.stderr, /^wherry: cluster \S+ has 3 control planes: their number cannot be changed yet; .*\n$/);
  });
  await step(
    'the leader sleeps for 10 s: others lead, what it is asked waits or is asked again, it catches up',
    async () => {
      const { leader } = await status();
      const pid = pidOf(await status(), leader!);
      const asleep = startLoad(scene, 'asleep');
      process.kill(pid, 'SIGSTOP');
      try {
        await eventually('another leads', status, (now) => now.leader !== undefined && now.leader !== leader, 8000);
        await sleep(8000);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await allReady();
      await asleep.finish();
      await assertKept(scene, asleep);
      loads.push(asleep);
    },
  );
  await step('two of three are dead: nothing is served, and it is said; up brings both back', async () => {
    await kubectl('create', 'configmap', 'before-the-end', '--from-literal=a=b');
    const now = await status();
    for (const plane of ['cp-1', 'cp-2']) process.kill(pidOf(now, plane), 'SIGKILL');
    await eventually(
      'the last one closes its door',
      status,
      ({ controlPlanes }) => controlPlanes.find((plane) => plane.name === 'cp-3')!.state === 'closed',
      30_000,
    );
    const { code, stderr } = await run(kubectlPath, ['get', 'pods'], { env, mayFail: true });
    assert.equal(code, 1);
    assert.match(stderr, /connection to the server 127\.0\.0\.1:6443 was refused/);
    assert.match(await tool('status', ...cluster), /nobody leads/);
    const said = await tool('up', ...cluster);
    assert.match(said, /cp-1 is back[\s\S]*cp-2 is back/);
    await allReady();
    await kubectl('get', 'configmap', 'before-the-end');
  });
  await step('stop: leases are given back, all processes end; up resumes with everything', async () => {
    await settled();
    await doc('npx wherry stop', { more: cluster });
    assert.equal(await scene.up.ended, 0);
    assert.deepEqual(takeInventory(scene.mine).processes, []);
    await scene.startUp();
    await allReady();
    for (const each of loads) await assertKept(scene, each);
    for (const each of ['meanwhile', 'before-the-end']) await kubectl('get', 'configmap', each);
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s');
  });
  await step('Ctrl-C ends all of it, too', async () => {
    assert.equal(await scene.up.interrupt(), 0);
    assert.deepEqual(takeInventory(scene.mine).processes, []);
  });
  await step('the same on three members of Debian’s etcd: whoever of them is killed', async () => {
    await using etcd = await EtcdCluster.start(['reference', 'reference', 'reference']);
    const folder = join(home, 'external');
    const flags = ['--name', `${name}-ext`, '--data-dir', folder];
    const servers = etcd.members.map(({ clientUrl }) => clientUrl).join(',');
    const config = { env: { ...env, KUBECONFIG: join(home, 'external-config') } };
    const more = ['--control-planes', '3', '--etcd-servers', servers, '--port', '7443', '--node', 'none'];
    const up = start(wherry, ['up', ...flags, ...more], config.env);
    await untilReady(up);
    const acknowledged: string[] = [];
    let count = 0;
    const write = async () => {
      const map = `m${count++}`;
      await run(kubectlPath, ['create', 'configmap', map, '--request-timeout=10s'], config);
      acknowledged.push(`configmap/${map}`);
    };
    for (const member of etcd.members) {
      await etcd.stop(member, 'SIGKILL');
      await eventually('a write', write, () => true);
      etcd.run(member, 'existing');
      await etcd.serving(member);
    }
    const there = (await run(kubectlPath, ['get', 'configmaps', '-o', 'name'], config)).stdout.split('\n');
    assert.deepEqual(
      acknowledged.filter((map) => !there.includes(map)),
      [],
      'acknowledged and lost',
    );
    assert.equal(await up.interrupt(), 0, up.output());
    await run(wherry, ['down', '--purge', ...flags], config);
  });
} finally {
  await step('down --purge: nothing is left in the kernel or on the disk', async () => {
    await doc('npx wherry down --purge', { more: cluster });
    await assertInventory(scene.before, { ...scene.mine, withinMs: 20_000 });
    assert.ok(!readFileSync(scene.kubeconfig, 'utf8').includes(`wherry-${name}`), 'the context is gone');
    for (const path of [dataDir, join('/run/wherry', name)]) assert.ok(!existsSync(path), `${path} is gone`);
    rmSync(home, { recursive: true });
  });
}
process.exitCode = finish();
