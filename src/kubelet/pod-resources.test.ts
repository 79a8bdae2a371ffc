/** Volumes from the API of pods that run: what changes there changes here, by watches of what pods name and nothing else. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#host/clock.ts';
import { hostNodeFiles } from '#host/node-files.ts';
import { createKubeClient, type KubeClient } from '#kube-client/client.ts';
import { createInformerFactory } from '#kube-client/informer-factory.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';
import { seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { NodeObjects, type Service, services } from './node-objects.ts';
import type { Pod, Volume } from './pod.ts';
import { PodResources } from './pod-resources.ts';

const limit = { timeout: 20_000 };
const core = (resource: string, kind: string) => ({ group: '', version: 'v1', resource, kind, namespaced: true });
type Data = ApiObject & { readonly data?: Readonly<Record<string, string>>; readonly immutable?: boolean };

interface Node {
  readonly client: KubeClient;
  readonly objects: NodeObjects;
  readonly resources: PodResources;
  readonly folder: string;
  /** Uids of pods that were told to look again. */
  readonly poked: string[];
  /** Moves the kubelet's clock forward. */
  skip(ms: number): void;
}

async function withNode(run: (node: Node) => Promise<void>): Promise<void> {
  await using scope = new Scope();
  const folder = await mkdtemp(join(tmpdir(), 'kubelet-'));
  scope.defer(() => rm(folder, { recursive: true }));
  const { server } = await startInMemoryApiserver(scope);
  let skippedMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + skippedMs };
  const prng = seededPrng(7);
  const client = createKubeClient({
    fetch: server.handler,
    component: { user: 'admin', groups: ['system:masters'] },
    clock: systemClock,
    prng,
  });
  const informers = scope.use(createInformerFactory({ client, clock, prng, log: () => {} }));
  const poked: string[] = [];
  const objects = new NodeObjects(scope, {
    client,
    clock,
    prng,
    services: informers.informer<Service>(services),
    onChange: (uid) => poked.push(uid),
    log: () => {},
  });
  const resources = new PodResources({
    clock,
    objects,
    mounter: { mountTmpfs: async () => {}, unmountAll: async () => {} },
    files: hostNodeFiles,
    root: folder,
    hostIp: '10.0.0.1',
    allocatable: {},
    clusterDomain: 'cluster.local',
  });
  await run({ client, objects, resources, folder, poked, skip: (ms) => (skippedMs += ms) });
}

const podWith = (uid: string, ...volumes: Volume[]): Pod => ({
  metadata: { name: `pod-${uid}`, namespace: 'default', uid },
  spec: { containers: [{ name: 'c' }], volumes },
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5);
}

test('a changed config map turns the files of a running pod, and wakes it', limit, () =>
  withNode(async ({ client, objects, resources, folder, poked }) => {
    const maps = client.resource<Data>(core('configmaps', 'ConfigMap'), 'default');
    await maps.create({ metadata: { name: 'conf' }, data: { a: 'one' } });
    await maps.create({ metadata: { name: 'other' }, data: { a: 'other' } });
    const pod = podWith('u1', { name: 'v', configMap: { name: 'conf' } });
    objects.register(pod);
    assert.equal(objects.watches, 1);
    await resources.mountVolumes(pod);
    const path = join(folder, 'pods/u1/volumes/kubernetes.io~configmap/v');
    assert.equal(await readFile(join(path, 'a'), 'utf8'), 'one');
    const before = await readlink(join(path, '..data'));
    poked.length = 0;
    await maps.update({ ...(await maps.get('other')), data: { a: 'else' } });
    await maps.update({ ...(await maps.get('conf')), data: { a: 'two', b: 'new' } });
    await until(() => poked.length > 0);
    await resources.mountVolumes(pod);
    assert.deepEqual(poked, ['u1']);
    assert.equal(await readFile(join(path, 'a'), 'utf8'), 'two');
    assert.equal(await readFile(join(path, 'b'), 'utf8'), 'new');
    assert.notEqual(await readlink(join(path, '..data')), before);
  }),
);

test('an optional secret that appears later is there then; one that must be there is named', limit, () =>
  withNode(async ({ client, objects, resources, folder, poked }) => {
    const pod = podWith('u1', { name: 'v', secret: { secretName: 's', optional: true } });
    objects.register(pod);
    await resources.mountVolumes(pod);
    const must = podWith('u2', { name: 'w', secret: { secretName: 's' } });
    objects.register(must);
    await assert.rejects(resources.mountVolumes(must), {
      name: 'VolumeError',
      message: 'MountVolume.SetUp failed for volume "w" : secret "s" not found',
    });
    await client
      .resource<Data>(core('secrets', 'Secret'), 'default')
      .create({ metadata: { name: 's' }, data: { k: Buffer.from('v').toString('base64') } });
    await until(() => poked.includes('u1') && poked.includes('u2'));
    await resources.mountVolumes(pod);
    await resources.mountVolumes(must);
    for (const path of ['u1/volumes/kubernetes.io~secret/v/k', 'u2/volumes/kubernetes.io~secret/w/k'])
      assert.equal(await readFile(join(folder, 'pods', path), 'utf8'), 'v');
  }),
);

test('an immutable object is not watched once it was seen', limit, () =>
  withNode(async ({ client, objects, resources, poked }) => {
    const maps = client.resource<Data>(core('configmaps', 'ConfigMap'), 'default');
    await maps.create({ metadata: { name: 'fixed' }, immutable: true, data: { a: 'one' } });
    await maps.create({ metadata: { name: 'free' }, data: { a: 'one' } });
    const pod = podWith('u1', { name: 'v', configMap: { name: 'fixed' } }, { name: 'w', configMap: { name: 'free' } });
    objects.register(pod);
    await resources.mountVolumes(pod);
    poked.length = 0;
    await maps.delete('fixed');
    await maps.delete('free');
    await until(() => poked.length > 0);
    assert.deepEqual(poked, ['u1']);
    assert.equal((await objects.configMaps('default', new Set(['fixed', 'free']))).size, 1);
  }),
);

test('a watch ends with the last pod that names its object', limit, () =>
  withNode(async ({ objects }) => {
    const volumes = [
      { name: 'v', configMap: { name: 'shared' } },
      { name: 'w', projected: { sources: [{ secret: { name: 'p' } }, { configMap: { name: 'shared' } }] } },
    ];
    objects.register(podWith('u1', ...volumes));
    objects.register(podWith('u2', volumes[0]!));
    assert.equal(objects.watches, 2);
    objects.forget('u1');
    assert.equal(objects.watches, 1);
    objects.forget('u2');
    assert.equal(objects.watches, 0);
    await assert.rejects(objects.configMaps('default', new Set(['shared'])), {
      message: 'object "default"/"shared" not registered',
    });
  }),
);

test('a token is renewed when four fifths of its life have passed', limit, () =>
  withNode(async ({ client, objects, resources, folder, skip }) => {
    await client
      .resource(core('serviceaccounts', 'ServiceAccount'), 'default')
      .create({ metadata: { name: 'default' } });
    const pods = client.resource<Pod & ApiObject>(core('pods', 'Pod'), 'default');
    const created = await pods.create({
      metadata: { name: 'p', namespace: 'default', uid: '' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    const pod: Pod = {
      ...podWith(created.metadata.uid, {
        name: 't',
        projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3600 } }] },
      }),
    };
    const named = { ...pod, metadata: { ...pod.metadata, name: 'p' } };
    objects.register(named);
    const token = () =>
      readFile(join(folder, 'pods', named.metadata.uid, 'volumes/kubernetes.io~projected/t/token'), 'utf8');
    await resources.mountVolumes(named);
    const first = await token();
    skip(2800_000);
    await resources.mountVolumes(named);
    assert.equal(await token(), first);
    skip(100_000);
    await resources.mountVolumes(named);
    assert.notEqual(await token(), first);
  }),
);
