/** Values in the store that cannot be read: readers are told, nobody else is disturbed, and the server goes on when they are mended. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

const head = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"bad","namespace":"default"';
const values = {
  'no JSON': 'garbage',
  'cut off': head,
  'cut off behind a brace': `${head}}`,
  'more than an object': `${head}}}}`,
  'no object': '"text"',
  'without metadata': '{"kind":"ConfigMap","apiVersion":"v1"}',
};
const maps = '/api/v1/namespaces/default/configmaps';
const key = '/registry/configmaps/default/bad';

async function start(scope: Scope) {
  const server = await startInMemoryApiserver(scope);
  const client = scope.use(createEtcdClient(scope.use(server.etcd.connect()), systemClock));
  const put = async (value: string, at = key) => {
    const { header } = await client.put({ key: Buffer.from(at), value: Buffer.from(value) });
    return header!.revision;
  };
  await server.call('POST', maps, { body: { metadata: { name: 'good' } } });
  return { ...server, put };
}

async function textOf(body: unknown): Promise<string> {
  let text = '';
  for await (const chunk of body as AsyncIterable<Uint8Array>) text += Buffer.from(chunk).toString('utf8');
  return text;
}

for (const [what, value] of Object.entries(values))
  test(`a value that is damaged (${what}) is told of by its key, and stays with itself`, async () => {
    await using scope = new Scope();
    const { call, put } = await start(scope);
    const revision = await put(value);
    const corrupt = `StorageError: corrupt object, Code: 7, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: object not decodable revision=${revision}: `;
    for (const method of ['GET', 'DELETE', 'PATCH']) {
      const { code, object } = await call(method, `${maps}/bad`, {
        type: method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        ...(method === 'PATCH' && { body: {} }),
      });
      assert.equal(code, 500, method);
      assert.equal(object['reason'], 'InternalError');
      assert.ok(String(object['message']).startsWith(`Internal error occurred: ${corrupt}`), String(object['message']));
    }
    const taken = await call('POST', maps, { body: { metadata: { name: 'bad' } } });
    assert.equal(taken.object['message'], 'configmaps "bad" already exists');
    for (const query of ['', '?labelSelector=a', '?limit=1', `?limit=5&resourceVersion=${revision}`]) {
      const { code, object } = await call('GET', `${maps}${query}`);
      assert.equal(code, 500, query);
      assert.equal(object['reason'], 'StorageReadError');
      assert.equal(object['message'], 'failed to read one or more configmaps from the storage');
      const { causes } = object['details'] as { causes: { field: string; message: string }[] };
      assert.equal(causes[0]!.field, key);
      assert.ok(causes[0]!.message.startsWith(corrupt));
    }
    const { code } = await call('GET', `${maps}/good`);
    assert.equal(code, 200);
    assert.equal((await call('GET', '/api/v1/namespaces/kube-system/configmaps')).code, 200);
  });

test('a value that looks whole and is not is no reason to stop for those who read it', async () => {
  await using scope = new Scope();
  const { call, put, etcd } = await start(scope);
  await put(`${head},,}}`);
  const selected = await call('GET', `${maps}?labelSelector=a`);
  assert.equal(selected.code, 500);
  assert.match(
    selected.object['message'] as string,
    /couldn't get version\/kind; json parse error: invalid character ','/,
  );
  assert.equal((await call('GET', `${maps}/bad`)).code, 500);
  assert.equal((await call('GET', maps)).code, 500);
  const role = '{"kind":"ClusterRole","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"bad",,}}';
  await put(role, '/registry/clusterroles/bad');
  const body = { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } };
  const reviews = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const user = { user: 'somebody', groups: ['system:authenticated'] };
  assert.equal((await call('POST', reviews, { body, user })).code, 201);
  // A server that finds it at its start, and whose own parts look at every object, starts.
  const second = await startInMemoryApiserver(scope, etcd);
  assert.equal((await second.call('GET', `${maps}/good`)).code, 200);
  assert.equal((await second.call('POST', reviews, { body, user })).code, 201);
});

test("the text of a damaged value is upstream's", async () => {
  await using scope = new Scope();
  const { call, put } = await start(scope);
  const revision = await put('garbage');
  assert.equal(
    (await call('GET', `${maps}/bad`)).object['message'],
    `Internal error occurred: StorageError: corrupt object, Code: 7, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: object not decodable revision=${revision}: couldn't get version/kind; json parse error: invalid character 'g' looking for beginning of value`,
  );
});

test('a watch that meets a damaged value ends with an error, and what is mended is served again', async () => {
  await using scope = new Scope();
  const { call, send, put } = await start(scope);
  const { resourceVersion } = (await call('GET', maps)).object.metadata;
  const abort = new AbortController();
  const elsewhere = await send('GET', '/api/v1/namespaces/other/configmaps?watch=1', { signal: abort.signal });
  const watching = await send('GET', `${maps}?watch=1&resourceVersion=${resourceVersion}`);
  const damagedAt = await put('garbage');
  const why = (revision: number) =>
    `object not decodable revision=${revision}: couldn't get version/kind; json parse error: invalid character 'g' looking for beginning of value`;
  const told = JSON.parse(await textOf(watching.body));
  assert.equal(told.type, 'ERROR');
  assert.equal(told.object.message, `Internal error occurred: ${why(damagedAt)}`);
  const fromState = JSON.parse((await textOf((await send('GET', `${maps}?watch=1`)).body)).split('\n')[0]!);
  assert.equal(fromState.type, 'ERROR');

  const later = await send('GET', `${maps}?watch=1&resourceVersion=${damagedAt}`);
  await put(`${head}}}`);
  assert.equal((await call('GET', `${maps}/bad`)).code, 200);
  assert.equal((await call('GET', maps)).code, 200);
  await put('garbage again');
  const [mended, again] = (await textOf(later.body))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(mended.type, 'ADDED');
  assert.equal(again.type, 'ERROR');
  abort.abort();
  assert.equal(await textOf(elsewhere.body), '');
});
