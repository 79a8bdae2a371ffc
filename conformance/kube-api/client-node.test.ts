/** `@kubernetes/client-node`, unchanged, against our apiserver on a port: typed verbs, an informer that sees all, errors as it knows them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  ApiException,
  AppsV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
} from '@kubernetes/client-node';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { listen } from '#transport/listen.ts';

async function connect(scope: Scope): Promise<KubeConfig> {
  const { server } = await startInMemoryApiserver(scope);
  const component = { user: 'admin', groups: ['system:masters'] };
  const listener = scope.use(
    await listen({
      address: { host: '127.0.0.1', port: 0 },
      handler: (request) => server.handler({ ...request, peer: { ...request.peer, component } }),
    }),
  );
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'c', server: `http://127.0.0.1:${listener.port}`, skipTLSVerify: true },
    { name: 'u' },
  );
  return config;
}

const namespace = 'default';
const configMap = (name: string): V1ConfigMap => ({ metadata: { name }, data: { a: 'b' } });

test('typed verbs: create, read, list, replace, patch, delete, and a conflict', { timeout: 20_000 }, async () => {
  await using scope = new Scope();
  const core = (await connect(scope)).makeApiClient(CoreV1Api);
  const created = await core.createNamespacedConfigMap({ namespace, body: configMap('a') });
  assert.ok(created.metadata?.creationTimestamp instanceof Date);
  assert.deepEqual((await core.readNamespacedConfigMap({ namespace, name: 'a' })).data, { a: 'b' });
  const listed = await core.listNamespacedConfigMap({ namespace });
  assert.deepEqual(
    listed.items.map(({ metadata }) => metadata?.name),
    ['a'],
  );
  await core.replaceNamespacedConfigMap({ namespace, name: 'a', body: { ...created, data: { a: 'c' } } });
  await assert.rejects(core.replaceNamespacedConfigMap({ namespace, name: 'a', body: created }), (error) => {
    assert.ok(error instanceof ApiException);
    assert.equal(error.code, 409);
    assert.equal((JSON.parse(error.body as string) as { reason: string }).reason, 'Conflict');
    return true;
  });
  await core.deleteNamespacedConfigMap({ namespace, name: 'a' });
  await assert.rejects(core.readNamespacedConfigMap({ namespace, name: 'a' }), { code: 404 });
});

test('selectors, pages, patches of each kind, and the deletion of a collection', { timeout: 20_000 }, async () => {
  await using scope = new Scope();
  const core = (await connect(scope)).makeApiClient(CoreV1Api);
  for (const name of ['a', 'b', 'c'])
    await core.createNamespacedConfigMap({
      namespace,
      body: { ...configMap(name), metadata: { name, labels: { odd: String(name !== 'b') } } },
    });
  const names = (list: { items: V1ConfigMap[] }) => list.items.map(({ metadata }) => metadata?.name);
  assert.deepEqual(names(await core.listNamespacedConfigMap({ namespace, labelSelector: 'odd=true' })), ['a', 'c']);
  assert.deepEqual(names(await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=b' })), ['b']);
  const page = await core.listNamespacedConfigMap({ namespace, limit: 2 });
  assert.deepEqual([names(page), page.metadata?.remainingItemCount], [['a', 'b'], 1]);
  const rest = await core.listNamespacedConfigMap({ namespace, limit: 2, _continue: page.metadata?._continue ?? '' });
  assert.deepEqual([names(rest), rest.metadata?._continue], [['c'], undefined]);
  const patches: readonly [type: string, body: object][] = [
    [PatchStrategy.JsonPatch, [{ op: 'replace', path: '/data/a', value: '1' }]],
    [PatchStrategy.MergePatch, { data: { a: '2' } }],
    [PatchStrategy.StrategicMergePatch, { data: { a: '3' } }],
  ];
  for (const [index, [type, body]] of patches.entries()) {
    const options = setHeaderOptions('Content-Type', type);
    const patched = await core.patchNamespacedConfigMap({ namespace, name: 'a', body }, options);
    assert.equal(patched.data?.['a'], String(index + 1), type);
  }
  const dry = await core.deleteNamespacedConfigMap({ namespace, name: 'a', dryRun: 'All' });
  assert.equal(dry.status, 'Success');
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'odd=true' });
  assert.deepEqual(names(await core.listNamespacedConfigMap({ namespace })), ['b']);
});

test('an invalid object is told with its causes', { timeout: 20_000 }, async () => {
  await using scope = new Scope();
  const core = (await connect(scope)).makeApiClient(CoreV1Api);
  await assert.rejects(
    core.createNamespacedService({ namespace, body: { metadata: { name: 's' }, spec: {} } }),
    (error) => {
      assert.ok(error instanceof ApiException);
      assert.equal(error.code, 422);
      const { reason, details } = JSON.parse(error.body as string) as {
        reason: string;
        details: { causes: { field: string; reason: string }[] };
      };
      assert.equal(reason, 'Invalid');
      assert.deepEqual(
        details.causes.map(({ field, reason }) => [field, reason]),
        [['spec.ports', 'FieldValueRequired']],
      );
      return true;
    },
  );
  await assert.rejects(core.createNamespacedConfigMap({ namespace: 'nowhere', body: configMap('a') }), { code: 404 });
  await core.createNamespacedConfigMap({ namespace, body: configMap('a') });
  await assert.rejects(core.createNamespacedConfigMap({ namespace, body: configMap('a') }), { code: 409 });
});

test('workloads, subresources and reviews', { timeout: 20_000 }, async () => {
  await using scope = new Scope();
  const config = await connect(scope);
  const apps = config.makeApiClient(AppsV1Api);
  const labels = { app: 'web' };
  const deployment = await apps.createNamespacedDeployment({
    namespace,
    body: {
      metadata: { name: 'web' },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'web:1' }] } },
      },
    },
  });
  assert.equal(deployment.spec?.replicas, 1);
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name: 'web' });
  await apps.replaceNamespacedDeploymentScale({ namespace, name: 'web', body: { ...scale, spec: { replicas: 3 } } });
  assert.equal((await apps.readNamespacedDeploymentStatus({ namespace, name: 'web' })).spec?.replicas, 3);
  const review = await config.makeApiClient(AuthorizationV1Api).createSelfSubjectAccessReview({
    body: { spec: { resourceAttributes: { verb: 'get', resource: 'pods', namespace } } },
  });
  assert.equal(review.status?.allowed, true);
});

test('objects of any kind, found by discovery', { timeout: 20_000 }, async () => {
  await using scope = new Scope();
  const objects = KubernetesObjectApi.makeApiClient(await connect(scope));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace },
    spec: { ports: [{ port: 80 }] },
  };
  await objects.create(service);
  const patched = await objects.patch({ ...service, metadata: { ...service.metadata, labels: { x: 'y' } } });
  assert.deepEqual(patched.metadata?.labels, { x: 'y' });
  await objects.delete(service);
  await assert.rejects(objects.read(service), { code: 404 });
});

test('an informer sees what is there, what comes, changes and goes', { timeout: 20_000 }, async () => {
  await using scope = new Scope();
  const config = await connect(scope);
  const core = config.makeApiClient(CoreV1Api);
  await core.createNamespacedConfigMap({ namespace, body: configMap('old') });
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  );
  const seen: string[] = [];
  const waiting = new Map<string, () => void>();
  const note = (what: string) => {
    seen.push(what);
    waiting.get(what)?.();
  };
  const until = (what: string) =>
    seen.includes(what) ? Promise.resolve() : new Promise<void>((resolve) => waiting.set(what, resolve));
  informer.on('add', ({ metadata }) => note(`add ${metadata?.name}`));
  informer.on('update', ({ metadata }) => note(`update ${metadata?.name}`));
  informer.on('delete', ({ metadata }) => note(`delete ${metadata?.name}`));
  await informer.start();
  try {
    await until('add old');
    const created = await core.createNamespacedConfigMap({ namespace, body: configMap('new') });
    await until('add new');
    await core.replaceNamespacedConfigMap({ namespace, name: 'new', body: { ...created, data: {} } });
    await until('update new');
    await core.deleteNamespacedConfigMap({ namespace, name: 'new' });
    await until('delete new');
    assert.deepEqual(seen, ['add old', 'add new', 'update new', 'delete new']);
    assert.equal(informer.get('old', namespace)?.data?.['a'], 'b');
  } finally {
    await informer.stop();
  }
});
