/** Deployments against a real apiserver: the first rollout, a rolling update, scaling in between, going back, recreating. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Deployment, deployments, type ReplicaSet, replicaSets } from '#kube-client/types/apps.ts';
import { namespaces, type Pod, pods } from '#kube-client/types/core.ts';
import { type ControlPlane, eventually, runPods, startControlled } from '../control-plane.suite.ts';
import { conditionOf } from './status.ts';

const labels = { app: 'web' };
const web = (image: string, spec: Partial<Deployment['spec']> = {}): Deployment => ({
  metadata: { name: 'web', namespace: 'shop', annotations: { team: 'a' } },
  spec: {
    replicas: 4,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'c', image }] } },
    ...spec,
  },
});

async function shop(plane: ControlPlane) {
  const { admin } = plane;
  await admin.resource(namespaces).create({ metadata: { name: 'shop' } });
  const resource = admin.resource<Deployment>(deployments, 'shop');
  const sets = admin.resource<ReplicaSet>(replicaSets, 'shop');
  const until = (holds: (deployment: Deployment) => boolean) =>
    eventually(
      async () => {
        const deployment = await resource.get('web');
        const current = deployment.status?.observedGeneration === deployment.metadata.generation;
        return current && holds(deployment) ? deployment : undefined;
      },
      async () => [
        await resource.get('web'),
        (await sets.list()).items.map(({ metadata, spec, status }) => [metadata.name, spec.replicas, status]),
      ],
    );
  const complete = (image: string) =>
    until(
      ({ status, spec }) =>
        spec.template.spec.containers[0]!.image === image &&
        status?.updatedReplicas === spec.replicas &&
        status?.replicas === spec.replicas &&
        status?.availableReplicas === spec.replicas &&
        conditionOf(status, 'Progressing')?.reason === 'NewReplicaSetAvailable',
    );
  const revisions = async () =>
    Object.fromEntries(
      (await sets.list()).items.map(({ metadata, spec }) => [
        spec.template.spec.containers[0]!.image,
        [metadata.annotations?.['deployment.kubernetes.io/revision'], spec.replicas],
      ]),
    );
  return { resource, sets, until, complete, revisions };
}

test('a Deployment rolls out, updates, scales and goes back', { timeout: 30_000 }, async () => {
  await using plane = await startControlled();
  runPods(plane);
  const { resource, sets, complete, revisions } = await shop(plane);
  await resource.create(web('one'));
  const first = await complete('one');
  assert.equal(first.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
  assert.equal(conditionOf(first.status, 'Available')?.message, 'Deployment has minimum availability.');
  const [set] = (await sets.list()).items;
  assert.match(set!.metadata.name, /^web-[b-z2-9]+$/);
  assert.equal(set!.metadata.annotations?.['team'], 'a');
  assert.equal(set!.metadata.annotations?.['deployment.kubernetes.io/max-replicas'], '5');
  assert.equal(
    conditionOf(first.status, 'Progressing')?.message,
    `ReplicaSet "${set!.metadata.name}" has successfully progressed.`,
  );

  await resource.patch('web', 'strategic', {
    spec: { template: { spec: { containers: [{ name: 'c', image: 'two' }] } } },
  });
  await complete('two');
  assert.deepEqual(await revisions(), { one: ['1', 0], two: ['2', 4] });

  await resource.patch('web', 'merge', { spec: { replicas: 2 } });
  await complete('two');
  assert.deepEqual(await revisions(), { one: ['1', 0], two: ['2', 2] });

  await resource.patch('web', 'strategic', {
    spec: { template: { spec: { containers: [{ name: 'c', image: 'one' }] } } },
  });
  const back = await complete('one');
  assert.deepEqual(await revisions(), { one: ['3', 2], two: ['2', 0] });
  await eventually(async () =>
    (await resource.get('web')).metadata.annotations?.['deployment.kubernetes.io/revision'] === '3' ? true : undefined,
  );
  assert.equal(back.status?.unavailableReplicas, undefined);
});

test('an update that never gets ready keeps what serves; paused it does not go on', { timeout: 30_000 }, async () => {
  await using plane = await startControlled();
  runPods(plane, ({ spec }) => spec.containers[0]!.image !== 'broken');
  const { resource, until, complete, revisions } = await shop(plane);
  await resource.create(web('one'));
  await complete('one');
  await resource.patch('web', 'strategic', {
    spec: { template: { spec: { containers: [{ name: 'c', image: 'broken' }] } } },
  });
  await until(({ status }) => status?.updatedReplicas === 2 && status.availableReplicas === 3);
  assert.deepEqual(await revisions(), { one: ['1', 3], broken: ['2', 2] });

  // Scaling in the middle of it shares by size.
  await resource.patch('web', 'merge', { spec: { replicas: 8 } });
  await until(({ status }) => status?.replicas === 10 && status.availableReplicas === 6);
  assert.deepEqual(await revisions(), { one: ['1', 6], broken: ['2', 4] });

  await resource.patch('web', 'merge', { spec: { paused: true } });
  await until(({ status }) => conditionOf(status, 'Progressing')?.reason === 'DeploymentPaused');
  await resource.patch('web', 'strategic', {
    spec: { template: { spec: { containers: [{ name: 'c', image: 'three' }] } } },
  });
  await until(() => true);
  assert.equal('three' in (await revisions()), false);
  await resource.patch('web', 'merge', { spec: { paused: false } });
  await complete('three');
  assert.deepEqual(await revisions(), { one: ['1', 0], broken: ['2', 0], three: ['3', 8] });
});

test('Recreate takes the old pods away first; old revisions beyond the limit go', { timeout: 30_000 }, async () => {
  await using plane = await startControlled();
  runPods(plane);
  const { resource, complete, revisions } = await shop(plane);
  await resource.create(web('one', { replicas: 2, strategy: { type: 'Recreate' }, revisionHistoryLimit: 1 }));
  await complete('one');
  const seen: string[] = [];
  const aborter = new AbortController();
  const watching = (async () => {
    for await (const { type, object } of plane.admin
      .resource<Pod>(pods, 'shop')
      .watch({ resourceVersion: '0', signal: aborter.signal }))
      if (type === 'ADDED' || type === 'DELETED') seen.push(`${type} ${object.spec.containers[0]!.image}`);
  })().catch(() => {});
  for (const image of ['two', 'three']) {
    await resource.patch('web', 'strategic', { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } });
    await complete(image);
  }
  aborter.abort();
  await watching;
  assert.ok(seen.lastIndexOf('DELETED one') < seen.indexOf('ADDED two'), seen.join());
  await eventually(async () => (Object.keys(await revisions()).length === 2 ? true : undefined), revisions);
  assert.deepEqual(await revisions(), { two: ['2', 0], three: ['3', 2] });
});
