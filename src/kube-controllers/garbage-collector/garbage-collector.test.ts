/** Owners and dependents against a real apiserver: in the background, in the foreground, orphaned, and owners that never were. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Deployment, deployments, type ReplicaSet, replicaSets } from '#kube-client/types/apps.ts';
import { type ConfigMap, configMaps, type Pod, pods } from '#kube-client/types/core.ts';
import { type ControlPlane, eventually, makeNamespace, startControlled } from '../control-plane.suite.ts';

async function shop() {
  const plane = await startControlled();
  await makeNamespace(plane, 'shop');
  const maps = plane.admin.resource<ConfigMap>(configMaps, 'shop');
  const make = (name: string, owners: readonly ConfigMap[] = [], more: object = {}) =>
    maps.create({
      metadata: {
        name,
        namespace: 'shop',
        ...more,
        ...(owners.length > 0 && {
          ownerReferences: owners.map(({ metadata }) => ({
            apiVersion: 'v1',
            kind: 'ConfigMap',
            name: metadata.name,
            uid: metadata.uid!,
            blockOwnerDeletion: true,
          })),
        }),
      },
    });
  const names = async () =>
    (await maps.list()).items.map(({ metadata }) => metadata.name).filter((name) => name !== 'kube-root-ca.crt');
  const until = (wanted: readonly string[]) =>
    eventually(async () => ((await names()).join() === wanted.join() ? true : undefined), names);
  return { plane, maps, make, until };
}

test('in the background: dependents go after their last owner', { timeout: 20_000 }, async () => {
  const { plane, maps, make, until } = await shop();
  await using _ = plane;
  const a = await make('a');
  const b = await make('b');
  const child = await make('child', [a, b]);
  await make('grandchild', [child]);
  await maps.delete('a');
  await eventually(async () => ((await maps.get('child')).metadata.ownerReferences?.length === 1 ? true : undefined));
  await until(['b', 'child', 'grandchild']);
  await maps.delete('b');
  await until([]);
});

test('an owner that never was keeps nothing alive', { timeout: 20_000 }, async () => {
  const { plane, make, until } = await shop();
  await using _ = plane;
  const never: ConfigMap = { metadata: { name: 'never', uid: '00000000-0000-4000-8000-000000000000' } };
  await make('lost', [never]);
  await until([]);
});

test('in the foreground: the owner waits for what blocks it', { timeout: 20_000 }, async () => {
  const { plane, maps, make, until } = await shop();
  await using _ = plane;
  const owner = await make('owner');
  await make('held', [owner], { finalizers: ['example.com/hold'] });
  await make('free', [owner]);
  await maps.delete('owner', { propagationPolicy: 'Foreground' });
  await until(['held', 'owner']);
  assert.deepEqual((await maps.get('owner')).metadata.finalizers, ['foregroundDeletion']);
  await maps.patch('held', 'merge', { metadata: { finalizers: null } });
  await until([]);
});

test('orphans stay and forget their owner', { timeout: 20_000 }, async () => {
  const { plane, maps, make, until } = await shop();
  await using _ = plane;
  const owner = await make('owner');
  await make('child', [owner]);
  await maps.delete('owner', { propagationPolicy: 'Orphan' });
  await until(['child']);
  assert.equal((await maps.get('child')).metadata.ownerReferences?.length ?? 0, 0);
});

test('a deleted Deployment takes its ReplicaSets and pods along', { timeout: 20_000 }, async () => {
  const { plane } = await shop();
  await using _ = plane;
  await rollOutAndDelete(plane);
});

async function rollOutAndDelete({ admin }: ControlPlane): Promise<void> {
  const labels = { app: 'web' };
  const resource = admin.resource<Deployment>(deployments, 'shop');
  await resource.create({
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  const count = async () => [
    (await admin.resource<ReplicaSet>(replicaSets, 'shop').list()).items.length,
    (await admin.resource<Pod>(pods, 'shop').list()).items.length,
  ];
  const until = (wanted: readonly number[]) =>
    eventually(async () => ((await count()).join() === wanted.join() ? true : undefined), count);
  await until([1, 3]);
  await resource.delete('web');
  await until([0, 0]);
}
