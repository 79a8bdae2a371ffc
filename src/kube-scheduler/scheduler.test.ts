/** The scheduler against a real apiserver: pods find nodes, wait with upstream's words, and are tried again when something helps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientFactory, identityOf } from '#cluster/identities.ts';
import { systemClock } from '#host/clock.ts';
import { type Event, events } from '#kube-client/event-recorder.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { type Deployment, deployments } from '#kube-client/types/apps.ts';
import { type Node, nodes, type Pod, type PodSpec, pods } from '#kube-client/types/core.ts';
import {
  type ControlPlane,
  eventually,
  makeNamespace,
  startControlled,
} from '#kube-controllers/control-plane.suite.ts';
import { seededPrng } from '#std/prng.ts';
import type { HttpHandler } from '#transport/http.ts';
import { startScheduler } from './start.ts';

/** @param fetch how the scheduler, and nobody else, reaches the server */
async function cluster(plane: ControlPlane, fetch: HttpHandler = plane.handler) {
  const { admin, scope } = plane;
  const client = clientFactory(fetch, { clock: systemClock, prng: seededPrng(7) })(identityOf('system:kube-scheduler'));
  await makeNamespace(plane, 'shop');
  const scheduler = scope.use(
    startScheduler({
      config: { identity: 'one' },
      deps: { client, clock: systemClock, prng: seededPrng(6), log: () => {} },
    }),
  );
  await scheduler.ready;
  const resource = admin.resource<Pod>(pods, 'shop');
  const addNode = async (name: string, cpu: string, spec: Node['spec'] = {}) => {
    const node = await admin.resource<Node>(nodes).create({ metadata: { name, labels: { name } }, spec });
    const allocatable = { cpu, memory: '8Gi', pods: '110', 'ephemeral-storage': '10Gi' };
    // A new node starts out as not ready; the node lifecycle controller takes that away.
    await admin.resource<Node>(nodes).updateStatus({ ...node, status: { allocatable, capacity: allocatable } });
    await admin.resource<Node>(nodes).patch(name, 'merge', { spec: { taints: spec.taints ?? [] } });
  };
  const addPod = (name: string, cpu: string, spec: Partial<PodSpec> = {}) =>
    resource.create({
      metadata: { name, namespace: 'shop' },
      spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }], ...spec },
    });
  const placed = (name: string) =>
    eventually(
      async () => (await resource.get(name)).spec.nodeName,
      async () => [(await resource.get(name)).status, scheduler.explain(`shop/${name}`)],
    );
  const refused = (name: string) =>
    eventually(async () => {
      const condition = (await resource.get(name)).status?.conditions?.find(({ type }) => type === 'PodScheduled');
      return condition?.status === 'False' ? condition : undefined;
    });
  return { scheduler, resource, addNode, addPod, placed, refused };
}

test('a Deployment becomes pods on nodes', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  const { addNode, resource, scheduler } = await cluster(plane);
  await addNode('a', '2');
  await addNode('b', '2');
  const labels = { app: 'web' };
  await plane.admin.resource<Deployment>(deployments, 'shop').create({
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      replicas: 4,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '900m' } } }] },
      },
    },
  });
  const placedOn = await eventually(async () => {
    const { items } = await resource.list();
    return items.length === 4 && items.every(({ spec }) => spec.nodeName) ? items : undefined;
  });
  assert.deepEqual(placedOn.map(({ spec }) => spec.nodeName).sort(), ['a', 'a', 'b', 'b']);
  assert.equal(scheduler.explain(`shop/${placedOn[0]!.metadata.name}`)?.kind, 'Scheduled');
  await eventually(async () => {
    const { items } = await plane.admin.resource<Event>(events, 'shop').list();
    return items.find(
      ({ reason, message }) => reason === 'Scheduled' && /^Successfully assigned shop\/web-\S+ to [ab]$/.test(message),
    );
  });
});

test('a pod that fits nowhere says why, and is tried again when room is made', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  const { addNode, addPod, placed, refused, resource } = await cluster(plane);
  await addPod('early', '1');
  assert.equal((await refused('early')).message, 'no nodes available to schedule pods');
  await addNode('a', '2');
  assert.equal(await placed('early'), 'a');

  await addNode('tainted', '8', { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] });
  await addPod('large', '1500m');
  const condition = await refused('large');
  assert.equal(condition.reason, 'Unschedulable');
  assert.equal(
    condition.message,
    '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: ' +
      '0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
  );
  await eventually(async () => {
    const { items } = await plane.admin
      .resource<Event>(events, 'shop')
      .list({ fieldSelector: 'reason=FailedScheduling' });
    return items.find(
      ({ message, involvedObject }) => involvedObject.name === 'large' && message === condition.message,
    );
  });
  await resource.delete('early', { gracePeriodSeconds: 0 });
  assert.equal(await placed('large'), 'a');

  await addPod('tolerant', '4', { tolerations: [{ key: 'gpu', operator: 'Exists' }] });
  assert.equal(await placed('tolerant'), 'tainted');
});

test('gates, selectors and host ports', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  const { addNode, addPod, placed, refused, resource, scheduler } = await cluster(plane);
  await addNode('a', '4');
  await addNode('b', '4');
  const port = { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 80 }] }] };
  await addPod('one', '0', { ...port, nodeSelector: { name: 'b' } });
  assert.equal(await placed('one'), 'b');
  await addPod('two', '0', port);
  assert.equal(await placed('two'), 'a');
  await addPod('three', '0', port);
  assert.match((await refused('three')).message!, /^0\/2 nodes are available: 2 node\(s\) didn't have free ports/);

  await addPod('gated', '1', { schedulingGates: [{ name: 'quota' }] });
  await addPod('after', '1');
  await placed('after');
  assert.equal((await resource.get('gated')).spec.nodeName, undefined);
  assert.equal(scheduler.explain('shop/gated'), undefined);
  await resource.patch('gated', 'merge', { spec: { schedulingGates: null } });
  await placed('gated');
});

test('a pod of higher priority takes the room of a lower one, and only that', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  const { addNode, addPod, placed, resource } = await cluster(plane);
  const { admin } = plane;
  await admin
    .resource<ApiObject & { value: number }>({
      group: 'scheduling.k8s.io',
      version: 'v1',
      resource: 'priorityclasses',
      namespaced: false,
      kind: 'PriorityClass',
    })
    .create({ metadata: { name: 'urgent' }, value: 1000 });
  await addNode('a', '2');
  await addPod('small', '500m');
  await addPod('large', '1500m');
  for (const name of ['small', 'large']) await placed(name);
  await addPod('urgent', '1400m', { priorityClassName: 'urgent' });
  const victim = await eventually(async () => {
    const pod = await resource.get('large');
    return pod.metadata.deletionTimestamp === undefined ? undefined : pod;
  });
  assert.equal(
    victim.status?.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason,
    'PreemptionByScheduler',
  );
  await eventually(async () => ((await resource.get('urgent')).status?.nominatedNodeName === 'a' ? true : undefined));
  // The room is kept for it.
  await addPod('greedy', '1400m');
  await resource.delete('large', { gracePeriodSeconds: 0 });
  assert.equal(await placed('urgent'), 'a');
  assert.equal((await resource.get('small')).metadata.deletionTimestamp, undefined);
  assert.equal((await resource.get('greedy')).spec.nodeName, undefined);
});

test('a binding whose answer is lost holds its room, and its pod is not said to wait', {
  timeout: 20_000,
}, async () => {
  await using plane = await startControlled();
  let lost = false;
  const { addNode, addPod, placed, refused, resource, scheduler } = await cluster(plane, async (request) => {
    const answer = await plane.handler(request);
    if (lost || !request.target.includes('/pods/one/binding')) return answer;
    lost = true;
    // One watch brings both: once this pod was looked at, the binding was seen.
    await addPod('later', '0', { nodeSelector: { name: 'none' } });
    await eventually(async () => scheduler.explain('shop/later'));
    throw new Error('connection reset');
  });
  await addNode('a', '2');
  await addPod('one', '1500m');
  assert.equal(await placed('one'), 'a');
  await eventually(async () => lost || undefined);
  await refused('later');
  await addPod('two', '1500m');
  assert.match((await refused('two')).message!, /^0\/1 nodes are available: 1 Insufficient cpu/);
  const scheduled = (await resource.get('one')).status?.conditions?.find(({ type }) => type === 'PodScheduled');
  assert.equal(scheduled?.status, 'True');
});

test('a pod that goes before it is bound makes room for one that waits', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  const { addNode, addPod, placed, refused, resource } = await cluster(plane, async (request) => {
    if (request.target.includes('/pods/one/binding')) {
      await addPod('two', '1500m');
      await refused('two');
      await resource.delete('one', { gracePeriodSeconds: 0 });
    }
    return await plane.handler(request);
  });
  await addNode('a', '2');
  await addPod('one', '1500m');
  await eventually(() => resource.get('two').catch(() => undefined));
  assert.equal(await placed('two'), 'a');
});
