/** A namespace goes with all that is in it, pods first, and says what holds it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigMap, configMaps, type Namespace, namespaces, type Pod, pods } from '#kube-client/types/core.ts';
import { eventually, makeNamespace, startControlled } from '../control-plane.suite.ts';

test('an empty namespace goes at once, one with content after it', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  await makeNamespace(plane, 'shop');
  const { admin } = plane;
  const resource = admin.resource<Namespace>(namespaces);
  const maps = admin.resource<ConfigMap>(configMaps, 'shop');
  await maps.create({ metadata: { name: 'held', namespace: 'shop', finalizers: ['example.com/hold'] } });
  await maps.create({ metadata: { name: 'free', namespace: 'shop' } });
  const podsOf = admin.resource<Pod>(pods, 'shop');
  const pod = await podsOf.create({
    metadata: { name: 'a', namespace: 'shop' },
    spec: { containers: [{ name: 'c', image: 'i' }], nodeName: 'somewhere' },
  });
  assert.equal(pod.spec.nodeName, 'somewhere');
  await resource.delete('shop');

  const condition = (type: string, reason: string) =>
    eventually(
      async () =>
        (await resource.get('shop')).status?.conditions?.find((each) => each.type === type && each.reason === reason),
      () => resource.get('shop'),
    );
  // The pod runs on a node that has not let it go: everything else waits.
  const remains = await condition('NamespaceContentRemaining', 'SomeResourcesRemain');
  assert.equal(remains.message, 'Some resources are remaining: pods. has 1 resource instances');
  assert.equal(
    (await maps.list()).items.some(({ metadata }) => metadata.name === 'free'),
    true,
  );
  await podsOf.delete('a', { gracePeriodSeconds: 0 });

  const held = await condition('NamespaceFinalizersRemaining', 'SomeFinalizersRemain');
  assert.equal(
    held.message,
    'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
  );
  await maps.patch('held', 'merge', { metadata: { finalizers: null } });
  await eventually(
    () =>
      resource.get('shop').then(
        () => undefined,
        () => true,
      ),
    () => resource.get('shop'),
  );
});
