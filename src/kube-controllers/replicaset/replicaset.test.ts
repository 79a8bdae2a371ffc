/** ReplicaSets against a real apiserver: pods come, go, are adopted and let go, and the status says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Event, events } from '#kube-client/event-recorder.ts';
import { type ReplicaSet, replicaSets } from '#kube-client/types/apps.ts';
import { namespaces, type Pod, pods } from '#kube-client/types/core.ts';
import { eventually, startControlled } from '../control-plane.suite.ts';

test('a ReplicaSet keeps its number of pods', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  const { admin } = plane;
  await admin.resource(namespaces).create({ metadata: { name: 'shop' } });
  const sets = admin.resource<ReplicaSet>(replicaSets, 'shop');
  const podsOf = admin.resource<Pod>(pods, 'shop');
  const labels = { app: 'web' };
  await sets.create({
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  const status = async (replicas: number) => {
    const set = await sets.get('web');
    return set.status?.replicas === replicas && set.status.observedGeneration === set.metadata.generation
      ? set
      : undefined;
  };
  await eventually(
    () => status(3),
    () => sets.get('web'),
  );
  const three = (await podsOf.list()).items;
  assert.equal(three.length, 3);
  assert.match(three[0]!.metadata.name, /^web-[a-z0-9]{5}$/);
  assert.deepEqual(
    three[0]!.metadata.ownerReferences?.map(({ kind, name, controller }) => [kind, name, controller]),
    [['ReplicaSet', 'web', true]],
  );

  // A ready pod is counted; the unready ones go first.
  const kept = three[1]!;
  await podsOf.updateStatus({
    ...kept,
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    },
  });
  await eventually(
    async () => ((await sets.get('web')).status?.readyReplicas === 1 ? true : undefined),
    () => sets.get('web'),
  );
  await sets.patch('web', 'merge', { spec: { replicas: 1 } });
  await eventually(
    () => status(1),
    () => sets.get('web'),
  );
  const active = (await podsOf.list()).items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  assert.deepEqual(
    active.map(({ metadata }) => metadata.name),
    [kept.metadata.name],
  );

  // Without its labels a pod is let go and another one takes its place.
  await podsOf.patch(kept.metadata.name, 'merge', { metadata: { labels: { app: 'other' } } });
  await eventually(
    async () =>
      ((await podsOf.get(kept.metadata.name)).metadata.ownerReferences ?? []).length === 0 ? true : undefined,
    () => podsOf.get(kept.metadata.name),
  );
  await eventually(async () => {
    const own = (await podsOf.list({ labelSelector: 'app=web' })).items.filter(
      ({ metadata }) => !metadata.deletionTimestamp,
    );
    return own.length === 1 ? true : undefined;
  });

  // Orphans that match are adopted; one is too many now.
  await podsOf.patch(kept.metadata.name, 'merge', { metadata: { labels } });
  await eventually(
    async () => {
      const own = (await podsOf.list({ labelSelector: 'app=web' })).items.filter(
        ({ metadata }) => !metadata.deletionTimestamp,
      );
      return own.length === 1 && own[0]!.metadata.ownerReferences !== undefined ? true : undefined;
    },
    async () => [(await podsOf.list()).items, await sets.get('web')],
  );

  const told = await eventually(async () => {
    const { items } = await admin.resource<Event>(events, 'shop').list();
    const reasons = new Set(items.map(({ reason }) => reason));
    return reasons.has('SuccessfulCreate') && reasons.has('SuccessfulDelete') ? items : undefined;
  });
  assert.equal(told[0]!.source.component, 'replicaset-controller');
});
