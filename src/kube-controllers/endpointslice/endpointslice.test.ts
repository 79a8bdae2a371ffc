/** Services and the lists of what stands behind them, against a real apiserver; the packing of slices by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Endpoints, endpoints, type Pod, pods, type Service, services } from '#kube-client/types/core.ts';
import { type EndpointSlice, endpointSlices } from '#kube-client/types/discovery.ts';
import { eventually, makeNamespace, startControlled } from '../control-plane.suite.ts';
import { reconcileSlices } from './reconcile.ts';

const service: Service = {
  metadata: { name: 'web', namespace: 'shop', uid: 'u', labels: { tier: 'front' } },
  spec: {
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, targetPort: 'http' }],
    ipFamilies: ['IPv4'],
  },
};
const pod = (name: string, ip: string, ready = true, port = 8080): Pod => ({
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, labels: { app: 'web' } },
  spec: { nodeName: 'a', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: port }] }] },
  status: {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
  },
});
const reconcile = (all: readonly Pod[], existing: readonly EndpointSlice[] = []) =>
  reconcileSlices({ service, pods: all, nodeOf: () => undefined, existing });
const many = (count: number) => Array.from({ length: count }, (_, i) => pod(`p${i}`, `10.0.${i >> 8}.${i & 255}`));
const named = (slices: readonly EndpointSlice[]) =>
  slices.map((slice, i) => ({ ...slice, metadata: { ...slice.metadata, name: `s${i}` } }));

test('no slice holds more than a hundred endpoints; a change writes the slices it touches', () => {
  const first = reconcile(many(250));
  assert.deepEqual(
    first.create.map(({ endpoints: held }) => held?.length),
    [100, 100, 50],
  );
  const held = named(first.create);
  assert.deepEqual(reconcile(many(250), held), { create: [], update: [], remove: [] });
  const more = reconcile(many(260), held);
  assert.deepEqual(
    [more.create.length, more.update.map(({ metadata }) => metadata.name), more.remove.length],
    [0, ['s2'], 0],
  );
  const fewer = reconcile(many(150), held);
  assert.deepEqual(
    fewer.update.map(({ metadata, endpoints: left }) => [metadata.name, left?.length]),
    [['s1', 50]],
  );
  assert.deepEqual(
    fewer.remove.map(({ metadata }) => metadata.name),
    ['s2'],
  );
});

test('pods whose named port is another number stand in another slice; none at all leaves an empty one', () => {
  const { create } = reconcile([pod('a', '10.0.0.1'), pod('b', '10.0.0.2', true, 9090)]);
  assert.deepEqual(create.map(({ ports }) => ports?.[0]?.port).sort(), [8080, 9090]);
  const empty = reconcile([]);
  assert.deepEqual(
    empty.create.map(({ endpoints: held, ports }) => [held, ports]),
    [[[], []]],
  );
  assert.deepEqual(reconcile([], named(empty.create)), { create: [], update: [], remove: [] });
});

test('a Service lists its pods as they become ready, leave and go', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  await makeNamespace(plane, 'shop');
  const { admin } = plane;
  const podsOf = admin.resource<Pod>(pods, 'shop');
  const list = async () => {
    const { items } = await admin.resource<EndpointSlice>(endpointSlices, 'shop').list();
    return items.flatMap(({ endpoints: held = [] }) =>
      held.map(({ addresses, conditions }) => [addresses[0], conditions?.ready, conditions?.terminating]),
    );
  };
  const { uid: _, ...metadata } = service.metadata;
  await admin.resource<Service>(services, 'shop').create({ ...service, metadata });
  await eventually(async () =>
    (await admin.resource(endpointSlices, 'shop').list()).items.length === 1 ? true : undefined,
  );
  assert.deepEqual(await list(), []);
  const { status, ...spec } = pod('a', '10.0.0.1', false);
  const made = await podsOf.create({
    metadata: { name: 'a', namespace: 'shop', labels: { app: 'web' } },
    spec: { containers: [{ ...spec.spec.containers[0]!, image: 'i' }] },
  });
  const current = await podsOf.updateStatus({ ...made, status: status! });
  await eventually(async () => ((await list()).length === 1 ? true : undefined), list);
  assert.deepEqual(await list(), [['10.0.0.1', false, false]]);
  await podsOf.updateStatus({ ...current, status: pod('a', '10.0.0.1').status! });
  await eventually(async () => ((await list())[0]?.[1] === true ? true : undefined), list);
  const old = await eventually(async () => {
    const object = await admin.resource<Endpoints>(endpoints, 'shop').get('web');
    return object.subsets?.[0]?.addresses?.[0]?.ip === '10.0.0.1' ? object : undefined;
  });
  assert.deepEqual(old.subsets![0]!.ports, [{ name: 'http', port: 8080, protocol: 'TCP' }]);
  assert.equal(old.metadata.labels?.['tier'], 'front');
  await podsOf.delete('a', { gracePeriodSeconds: 0 });
  await eventually(async () => ((await list()).length === 0 ? true : undefined), list);
  const [slice] = (await admin.resource<EndpointSlice>(endpointSlices, 'shop').list()).items;
  assert.match(slice!.metadata.name, /^web-[a-z0-9]{5}$/);
  assert.equal(slice!.metadata.labels?.['kubernetes.io/service-name'], 'web');

  // The slices go with the Service as its dependents, the Endpoints by its own controller's hand.
  await admin.resource(services, 'shop').delete('web');
  const left = async () => [
    ...(await admin.resource(endpointSlices, 'shop').list()).items,
    ...(await admin.resource(endpoints, 'shop').list()).items,
  ];
  await eventually(async () => ((await left()).length === 0 ? true : undefined), left);
});
