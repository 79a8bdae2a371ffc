/** What a body says of its name and namespace, against what its path says: the same for every verb that carries an object. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

const merge = 'application/merge-patch+json';
const otherNamespace = 'the namespace of the provided object does not match the namespace sent on the request';

test('what stands in no namespace loses the one that a body gives it, on every verb', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  for (const [path, body] of [
    ['/apis/storage.k8s.io/v1/storageclasses', { provisioner: 'example.com/p' }],
    ['/api/v1/namespaces', {}],
    ['/api/v1/nodes', {}],
  ] as const) {
    const metadata = { name: 'a', namespace: 'other' };
    const created = await call('POST', path, { body: { metadata, ...body } });
    assert.equal(created.code, 201, created.text);
    assert.ok(!('namespace' in created.object.metadata), path);
    const labels = { changed: 'yes' };
    const updated = await call('PUT', `${path}/a`, { body: { metadata: { ...metadata, labels }, ...body } });
    assert.equal(updated.code, 200, updated.text);
    assert.ok(!('namespace' in updated.object.metadata), path);
    const patch = { metadata: { namespace: 'other', labels: { patched: 'yes' } } };
    const patched = await call('PATCH', `${path}/a`, { type: merge, body: patch });
    assert.equal(patched.code, 200, patched.text);
    assert.deepEqual(patched.object.metadata.labels?.['patched'], 'yes');
    assert.ok(!('namespace' in patched.object.metadata), path);
  }
  const status = await call('PATCH', '/api/v1/nodes/a/status', {
    type: merge,
    body: { metadata: { namespace: 'other' }, status: { phase: 'Running' } },
  });
  assert.equal(status.code, 200, status.text);
  assert.ok(!('namespace' in status.object.metadata));
});

test('an object of another namespace or name than its path is refused, on every verb', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  const maps = '/api/v1/namespaces/default/configmaps';
  await call('POST', maps, { body: { metadata: { name: 'a' } } });
  const refused = async (method: string, path: string, metadata: object, message: string) => {
    const type = method === 'PATCH' ? merge : 'application/json';
    const { code, object } = await call(method, path, { type, body: { metadata } });
    assert.equal(code, 400, `${method} ${JSON.stringify(metadata)}`);
    assert.equal(object['reason'], 'BadRequest');
    assert.equal(object['message'], message);
  };
  await refused('POST', maps, { name: 'b', namespace: 'other' }, otherNamespace);
  for (const method of ['PUT', 'PATCH']) {
    await refused(method, `${maps}/a`, { name: 'a', namespace: 'other' }, otherNamespace);
    // The namespace is looked at first.
    await refused(method, `${maps}/a`, { name: 'b', namespace: 'other' }, otherNamespace);
    await refused(
      method,
      `${maps}/a`,
      { name: 'b' },
      'the name of the object (b) does not match the name on the URL (a)',
    );
    await refused(
      method,
      `${maps}/a`,
      { name: null },
      'the name of the object (a based on URL) was undeterminable: name must be provided',
    );
  }
  const kept = await call('PATCH', `${maps}/a`, { type: merge, body: { metadata: { namespace: null } } });
  assert.equal(kept.object.metadata.namespace, 'default');
});

test('a scale of another workload than its path is refused', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  const sets = '/apis/apps/v1/namespaces/default/replicasets';
  const labels = { app: 'a' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  const created = await call('POST', sets, { body: { metadata: { name: 'a' }, spec } });
  assert.equal(created.code, 201, created.text);
  for (const [metadata, message] of [
    [{ name: 'b' }, 'the name of the object (b) does not match the name on the URL (a)'],
    [{ name: 'a', namespace: 'other' }, otherNamespace],
  ] as const) {
    const { code, object } = await call('PUT', `${sets}/a/scale`, { body: { metadata, spec: { replicas: 2 } } });
    assert.equal(code, 400);
    assert.equal(object['message'], message);
  }
  const scaled = await call('PUT', `${sets}/a/scale`, { body: { metadata: { name: 'a' }, spec: { replicas: 2 } } });
  assert.equal(scaled.code, 200, scaled.text);
});
