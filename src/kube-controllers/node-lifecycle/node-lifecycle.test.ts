/** Nodes that get ready, fall silent and go, and what becomes of their pods; against a real apiserver. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Node, type NodeCondition, nodes, type Pod, pods } from '#kube-client/types/core.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { type ControlPlane, eventually, makeNamespace, startControlled } from '../control-plane.suite.ts';
import { quarantineMs } from '../pod-garbage-collector/pod-garbage-collector.ts';
import { evictionTimeMs } from '../taint-eviction/taint-eviction.ts';
import { gracePeriodMs } from './node-lifecycle.ts';
import { mayEvictFrom, wantedTaints } from './taints.ts';

const condition = (type: string, status: string): NodeCondition => ({ type, status, lastTransitionTime: null });
const node = (name: string, ready: string, taints: NonNullable<Node['spec']>['taints'] = []): Node => ({
  metadata: { name },
  spec: { taints: taints! },
  status: { conditions: [condition('Ready', ready)] },
});

test('conditions call for taints; what others put there stays', () => {
  const other = { key: 'gpu', effect: 'NoSchedule' };
  const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
  assert.deepEqual(wantedTaints(node('a', 'True', [other, notReady]), true, 'now'), [other]);
  assert.equal(wantedTaints(node('a', 'True', [other]), true, 'now'), undefined);
  assert.deepEqual(
    wantedTaints(node('a', 'Unknown', [other]), true, 'now')?.map(({ key, effect }) => `${key}:${effect}`),
    ['gpu:NoSchedule', 'node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'],
  );
  assert.deepEqual(
    wantedTaints({ ...node('a', 'True'), spec: { unschedulable: true } }, true, 'now')?.map(({ key }) => key),
    ['node.kubernetes.io/unschedulable'],
  );
});

test('when all nodes are lost at once nobody is evicted', () => {
  const lost = ['a', 'b', 'c', 'd'].map((name) => node(name, 'Unknown'));
  assert.equal(mayEvictFrom(lost[0]!, lost), false);
  assert.equal(mayEvictFrom(lost[0]!, [lost[0]!, node('e', 'True')]), true);
  assert.equal(mayEvictFrom(lost[0]!, [...lost, node('e', 'True')]), false);
});

test('a pod leaves when its shortest toleration ends', () => {
  const taint = { key: 'k', effect: 'NoExecute', timeAdded: '1970-01-01T00:00:10Z' };
  assert.equal(evictionTimeMs([], [taint], 5), 5);
  assert.equal(evictionTimeMs([], [], 5), undefined);
  assert.equal(evictionTimeMs([{ key: 'k', operator: 'Exists' }], [taint], 5), undefined);
  assert.equal(evictionTimeMs([{ key: 'k', operator: 'Exists', tolerationSeconds: 300 }], [taint], 20_000), 310_000);
});

async function addNode({ admin }: ControlPlane, name: string): Promise<void> {
  const resource = admin.resource<Node>(nodes);
  const made = await resource.create({ metadata: { name } });
  await resource.updateStatus({ ...made, status: { conditions: [condition('Ready', 'True')] } });
}

test('a silent node is lost, its pods are evicted; a node that goes takes its pods along', {
  timeout: 30_000,
}, async () => {
  const clock = new VirtualClock();
  await using plane = await startControlled(clock);
  await makeNamespace(plane, 'shop');
  const { admin } = plane;
  const resource = admin.resource<Node>(nodes);
  await addNode(plane, 'a');
  await addNode(plane, 'b');
  const taints = async (name: string) =>
    ((await resource.get(name)).spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`);
  for (const name of ['a', 'b'])
    await eventually(
      async () => ((await taints(name)).length === 0 ? true : undefined),
      () => resource.get(name),
    );

  const podsOf = admin.resource<Pod>(pods, 'shop');
  const tolerations = [
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  ];
  for (const [name, nodeName] of [
    ['one', 'a'],
    ['two', 'b'],
  ] as const)
    await podsOf.create({
      metadata: { name, namespace: 'shop' },
      spec: { nodeName, containers: [{ name: 'c', image: 'i' }], tolerations },
    });

  // Node b goes on talking.
  const settle = async () => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const beat = async () => {
    const current = await resource.get('b');
    const beaten = { ...condition('Ready', 'True'), lastHeartbeatTime: `2026-01-01T00:00:0${beats++ % 10}Z` };
    await resource.updateStatus({ ...current, status: { conditions: [beaten] } });
    await settle();
  };
  let beats = 0;
  await clock.advance(gracePeriodMs / 2, settle);
  await beat();
  await clock.advance(gracePeriodMs / 2 + 1000, settle);
  await eventually(
    async () => ((await taints('a')).length === 2 ? true : undefined),
    () => resource.get('a'),
  );
  assert.deepEqual(await taints('b'), []);
  const lost = (await resource.get('a')).status!.conditions!.find(({ type }) => type === 'Ready');
  assert.deepEqual(
    [lost?.status, lost?.reason, lost?.message],
    ['Unknown', 'NodeStatusUnknown', 'Kubelet stopped posting node status.'],
  );
  assert.equal((await podsOf.get('one')).metadata.deletionTimestamp, undefined);
  for (let i = 0; i < 12; i++) {
    await beat();
    await clock.advance(30_000, settle);
  }
  const evicted = await eventually(async () => {
    const pod = await podsOf.get('one');
    return pod.metadata.deletionTimestamp === undefined ? undefined : pod;
  });
  assert.equal(
    evicted.status?.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason,
    'DeletionByTaintManager',
  );
  assert.equal((await podsOf.get('two')).metadata.deletionTimestamp, undefined);

  await resource.delete('b');
  await settle();
  await eventually(async () => {
    await clock.advance(quarantineMs, settle);
    return await podsOf.get('two').then(
      () => undefined,
      () => true,
    );
  });
});
