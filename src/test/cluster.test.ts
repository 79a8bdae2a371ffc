/** The test kit on itself: rollouts, namespaces and garbage in virtual time; forks; nothing left behind. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { systemClock } from '#host/clock.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { OneTimerClock } from '#std/one-timer-clock.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { Cluster } from './cluster.ts';

const limit = { timeout: 120_000 };
const ref = (group: string, resource: string, kind: string, namespaced = true): ResourceRef => ({
  group,
  version: 'v1',
  resource,
  kind,
  namespaced,
});
const deployments = ref('apps', 'deployments', 'Deployment');
const replicaSets = ref('apps', 'replicasets', 'ReplicaSet');
const pods = ref('', 'pods', 'Pod');
const namespaces = ref('', 'namespaces', 'Namespace', false);
const configMaps = ref('', 'configmaps', 'ConfigMap');

type Any = ApiObject & { readonly spec?: Record<string, unknown>; readonly status?: Record<string, unknown> };

const deployment = (replicas: number, image = 'app:1') => ({
  metadata: { name: 'web' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
  },
});

test('a Deployment rolls out, and a new image replaces every pod', limit, async () => {
  await using cluster = await Cluster.start({ clock: 'virtual', seed: 1 });
  const client = cluster.client.resource<Any>(deployments, 'default');
  await client.create(deployment(3));
  await cluster.advance('30s');
  const rolled = await client.get('web');
  assert.equal(rolled.status?.['availableReplicas'], 3);
  await client.patch('web', 'merge', deployment(3, 'app:2'));
  await cluster.advance('1m');
  const list = await cluster.client.resource<Any>(pods, 'default').list();
  assert.deepEqual(
    list.items.map(({ spec }) => (spec!['containers'] as { image: string }[])[0]!.image),
    ['app:2', 'app:2', 'app:2'],
  );
});

test('a container that crashes is restarted with growing pauses', limit, async () => {
  await using cluster = await Cluster.start({
    clock: 'virtual',
    seed: 2,
    scripts: (image) => (image === 'crash:1' ? { exit: { afterMs: 1000, code: 1 } } : undefined),
  });
  const client = cluster.client.resource<Any>(pods, 'default');
  await cluster.advance('1s');
  await client.create({ metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'crash:1' }] } });
  await cluster.advance('1h');
  const [status] = (await client.get('p')).status!['containerStatuses'] as { restartCount: number }[];
  // 10, 20, 40, 80, 160 and then every 300 seconds.
  assert.ok(status!.restartCount > 10 && status!.restartCount < 20, `${status!.restartCount} restarts in an hour`);
});

test('a namespace goes with everything in it', limit, async () => {
  await using cluster = await Cluster.start({ clock: 'virtual', seed: 3 });
  await cluster.client.resource<Any>(namespaces).create({ metadata: { name: 'gone' } });
  await cluster.advance('1s');
  await cluster.client.resource<Any>(deployments, 'gone').create(deployment(2));
  await cluster.advance('10s');
  await cluster.client.resource<Any>(namespaces).delete('gone');
  await cluster.advance('2m');
  await assert.rejects(cluster.client.resource<Any>(namespaces).get('gone'), /namespaces "gone" not found/);
});

test('what a Deployment owned is collected when it goes', limit, async () => {
  await using cluster = await Cluster.start({ clock: 'virtual', seed: 4 });
  const client = cluster.client.resource<Any>(deployments, 'default');
  await client.create(deployment(2));
  await cluster.advance('10s');
  await client.delete('web');
  await cluster.advance('2m');
  assert.equal((await cluster.client.resource<Any>(replicaSets, 'default').list()).items.length, 0);
  assert.equal((await cluster.client.resource<Any>(pods, 'default').list()).items.length, 0);
});

test('a fork has what was there, and goes its own way', limit, async () => {
  await using cluster = await Cluster.start({ node: 'none', clock: 'virtual', seed: 5 });
  const maps = cluster.client.resource<Any>(configMaps, 'default');
  await maps.create({ metadata: { name: 'before' } });
  await using fork = await cluster.fork();
  const forked = fork.client.resource<Any>(configMaps, 'default');
  await forked.create({ metadata: { name: 'after' } });
  assert.equal((await forked.get('before')).metadata.name, 'before');
  await assert.rejects(maps.get('after'), /not found/);
});

test('a clock that is given is neither moved by a start nor emptied by an end', limit, async () => {
  const clock = new OneTimerClock(systemClock);
  const fired = Promise.withResolvers<void>();
  clock.after(0, fired.resolve);
  // A timer of somebody else's, far away.
  clock.after(3_600_000, () => {});
  {
    await using cluster = await Cluster.start({ node: 'none', clock, seed: 6 });
    await using _fork = await cluster.fork();
  }
  assert.equal(clock.pending, 1);
  await fired.promise;
  clock[Symbol.dispose]();
});

test('a fork of a cluster on a clock that is given tells its time', limit, async () => {
  const offsetMs = 400 * 24 * 3_600_000;
  const { monotonicMs, after } = systemClock;
  const clock = { now: () => systemClock.now() + offsetMs, monotonicMs, after };
  await using cluster = await Cluster.start({ node: 'none', clock, seed: 7 });
  await using fork = await cluster.fork();
  assert.ok(fork.now() >= cluster.now());
});

test(
  'clusters on one virtual clock: a start and a fork leave its time alone, and advancing one advances all',
  limit,
  async () => {
    const clock = new VirtualClock();
    const other = async (seed: number) => {
      const moments = new Set<number>();
      const started = Cluster.start({ clock, seed, onWrite: () => moments.add(clock.monotonicMs()) });
      return { cluster: await started, moments };
    };
    // Several at a time: each waits for the work of the others, and time would pass if a start moved it.
    const all = await Promise.all([8, 9, 10, 11].map(other));
    assert.equal(clock.monotonicMs(), 0);
    for (const { moments } of all) assert.deepEqual([...moments], [0]);
    const [first, second] = all.map(({ cluster }) => cluster);
    const fork = await first!.fork();
    await fork.advance('1m');
    assert.equal(clock.monotonicMs(), 0);
    await first!.advance('1m');
    assert.equal(clock.monotonicMs(), 60_000);
    assert.equal(second!.now(), fork.now());
    await Promise.all([fork, ...all.map(({ cluster }) => cluster)].map((cluster) => cluster[Symbol.asyncDispose]()));
    assert.equal(clock.pending, 0);
  },
);
