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
