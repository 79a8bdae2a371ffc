/** Each served resource from creation to deletion: the same verbs, the same answers, whatever the kind. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { apiVersionOf, type Resource } from '#api-kube/resource.ts';
import { resources } from '#api-kube/resources.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { type MinimalObject, minimalObjects } from '#testkit/minimal-objects.ts';
import type { KubeObject } from './object.ts';

const tableType = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const mergePatch = 'application/merge-patch+json';
const strategicPatch = 'application/strategic-merge-patch+json';
const jsonPatch = 'application/json-patch+json';

type Server = Awaited<ReturnType<typeof startInMemoryApiserver>>;

const keyOf = ({ group, version, resource }: Resource) => `${resource}${group === '' ? '' : `.${group}`}/${version}`;

function pathOf(resource: Resource): string {
  const prefix = resource.group === '' ? '/api' : '/apis';
  const place = resource.namespaced ? '/namespaces/suite' : '';
  return `${prefix}/${apiVersionOf(resource)}${place}/${resource.resource}`;
}

const stored = resources.filter(({ stored, verbs }) => stored && verbs.includes('create'));

test('every stored resource has a minimal object', () => {
  assert.deepEqual(stored.map(keyOf).sort(), Object.keys(minimalObjects).sort());
});

test('create, get, list, watch, update, patch, status and delete of every resource', async (t) => {
  await using scope = new Scope();
  const server = await startInMemoryApiserver(scope);
  const { call } = server;
  await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'suite' } } });
  await call('POST', '/api/v1/namespaces/suite/serviceaccounts', { body: { metadata: { name: 'default' } } });
  for (const resource of stored)
    await t.test(keyOf(resource), () => lifeOf(server, resource, minimalObjects[keyOf(resource)]!));
});

/** What is asked of resources that nothing is stored of, and where the answer stands. */
const asked: Readonly<
  Record<string, { readonly path: string; readonly body: object; readonly answer: readonly unknown[] }>
> = {
  'bindings/v1': {
    path: '/api/v1/namespaces/suite/bindings',
    body: { metadata: { name: 'unbound' }, target: { kind: 'Node', name: 'n' } },
    answer: ['status', 'Success'],
  },
  'selfsubjectreviews.authentication.k8s.io/v1': {
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: {},
    answer: ['status', 'userInfo', 'username', 'admin'],
  },
  'tokenreviews.authentication.k8s.io/v1': {
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: { spec: { token: 'none' } },
    answer: ['status', 'authenticated', undefined],
  },
  'localsubjectaccessreviews.authorization.k8s.io/v1': {
    path: '/apis/authorization.k8s.io/v1/namespaces/suite/localsubjectaccessreviews',
    body: {
      metadata: { namespace: 'suite' },
      spec: { user: 'nobody', resourceAttributes: { namespace: 'suite', verb: 'get', resource: 'pods' } },
    },
    answer: ['status', 'allowed', false],
  },
  'selfsubjectaccessreviews.authorization.k8s.io/v1': {
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } },
    answer: ['status', 'allowed', true],
  },
  'selfsubjectrulesreviews.authorization.k8s.io/v1': {
    path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    body: { spec: { namespace: 'suite' } },
    answer: ['status', 'incomplete', false],
  },
  'subjectaccessreviews.authorization.k8s.io/v1': {
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: { spec: { user: 'nobody', resourceAttributes: { verb: 'get', resource: 'pods' } } },
    answer: ['status', 'allowed', false],
  },
};

test('resources that nothing is stored of answer, and know no other verb', async (t) => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'suite' } } });
  await call('POST', '/api/v1/namespaces/suite/serviceaccounts', { body: { metadata: { name: 'default' } } });
  await call('POST', '/api/v1/namespaces/suite/pods', {
    body: { metadata: { name: 'unbound' }, ...(minimalObjects['pods/v1']!.body as object) },
  });
  assert.deepEqual(
    resources.map(keyOf).sort(),
    [...Object.keys(minimalObjects), ...Object.keys(asked), 'componentstatuses/v1'].sort(),
    'every resource is in one of the tables',
  );
  for (const [key, { path, body, answer }] of Object.entries(asked))
    await t.test(key, async () => {
      const { code, object, text } = await call('POST', path, { body });
      assert.equal(code, 201, text);
      const fields = answer.slice(0, -1) as string[];
      const value = fields.reduce<unknown>((at, field) => (at as Record<string, unknown> | undefined)?.[field], object);
      assert.deepEqual(value, answer.at(-1), text);
      for (const method of ['GET', 'DELETE']) assert.equal((await call(method, path)).code, 405);
    });
  const statuses = await call('GET', '/api/v1/componentstatuses');
  assert.equal(statuses.code, 200, statuses.text);
  assert.equal(statuses.object.kind, 'ComponentStatusList');
  assert.equal((await call('POST', '/api/v1/componentstatuses', { body: { metadata: { name: 'a' } } })).code, 405);
});

async function lifeOf({ call, send }: Server, resource: Resource, minimal: MinimalObject): Promise<void> {
  const collection = pathOf(resource);
  const make = (n: string, metadata: object = {}) => ({
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: { name: minimal.name?.(n) ?? n, ...metadata },
    ...(typeof minimal.body === 'function' ? minimal.body(n) : minimal.body),
  });
  const object = make('thing');
  const { name } = object.metadata;

  const rehearsed = await call('POST', `${collection}?dryRun=All`, { body: object });
  assert.equal(rehearsed.code, 201, rehearsed.text);
  assert.equal((await call('GET', `${collection}/${name}`)).code, 404, 'a rehearsal stores nothing');

  const created = await call('POST', `${collection}?fieldValidation=Strict`, { body: object });
  assert.equal(created.code, 201, created.text);
  assert.equal(created.object.kind, resource.kind);
  assert.equal(created.object.apiVersion, apiVersionOf(resource));
  const { uid, resourceVersion, creationTimestamp } = created.object.metadata;
  assert.match(uid!, /^[0-9a-f-]{36}$/);
  assert.match(creationTimestamp!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual((await call('GET', `${collection}/${name}`)).object, created.object);
  assert.equal((await call('POST', collection, { body: object })).code, 409);

  const listed = await call('GET', `${collection}?fieldSelector=metadata.name%3D${name}`);
  assert.equal(listed.object.kind, resource.listKind);
  assert.deepEqual(
    (listed.object['items'] as KubeObject[]).map(({ metadata }) => metadata.uid),
    [uid],
  );
  const table = await call('GET', `${collection}/${name}`, { accept: tableType });
  const { columnDefinitions, rows } = table.object as unknown as {
    columnDefinitions: object[];
    rows: { cells: unknown[] }[];
  };
  assert.equal(rows[0]!.cells.length, columnDefinitions.length);
  // Events are told by when they were seen last.
  if (resource.resource !== 'events') assert.equal(rows[0]!.cells[0], name);

  const abort = new AbortController();
  const watched = await send(
    'GET',
    `${collection}?watch=1&resourceVersion=${resourceVersion}&fieldSelector=metadata.name%3D${name}`,
    {
      signal: abort.signal,
    },
  );
  assert.equal(watched.status, 200);

  const labels = { kept: 'yes' };
  const updated = await call('PUT', `${collection}/${name}`, {
    body: { ...created.object, metadata: { ...created.object.metadata, labels } },
  });
  assert.equal(updated.code, 200, updated.text);
  const stale = await call('PUT', `${collection}/${name}`, { body: created.object });
  assert.equal(stale.code, 409, stale.text);
  const patched = await call('PATCH', `${collection}/${name}`, {
    type: mergePatch,
    body: { metadata: { annotations: { note: 'n' } } },
  });
  assert.equal(patched.code, 200, patched.text);
  assert.equal(patched.object.metadata.labels?.['kept'], 'yes');
  assert.equal(patched.object.metadata.uid, uid);
  const pointed = await call('PATCH', `${collection}/${name}`, {
    type: jsonPatch,
    body: [
      { op: 'test', path: '/metadata/labels/kept', value: 'yes' },
      { op: 'add', path: '/metadata/labels/pointed', value: 'yes' },
    ],
  });
  assert.equal(pointed.code, 200, pointed.text);
  const untrue = await call('PATCH', `${collection}/${name}`, {
    type: jsonPatch,
    body: [{ op: 'test', path: '/metadata/labels/kept', value: 'no' }],
  });
  assert.equal(untrue.code, 422, untrue.text);
  const strategic = await call('PATCH', `${collection}/${name}`, {
    type: strategicPatch,
    body: { metadata: { labels: { pointed: null }, finalizers: ['example.com/a'] } },
  });
  assert.equal(strategic.code, 200, strategic.text);
  assert.equal(strategic.object.metadata.labels?.['pointed'], undefined);
  assert.equal(strategic.object.metadata.labels?.['kept'], 'yes');
  const freed = await call('PATCH', `${collection}/${name}`, {
    type: strategicPatch,
    body: { metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/a'] } },
  });
  assert.equal(freed.code, 200, freed.text);
  if (resource.resource !== 'namespaces') assert.ok(!('finalizers' in freed.object.metadata), 'an empty list is none');
  const hasStatus = await statusOf(call, resource, `${collection}/${name}`);

  const deleted = await call('DELETE', `${collection}/${name}`, { body: { gracePeriodSeconds: 0 } });
  assert.ok(deleted.code === 200, deleted.text);
  // A namespace stays until its controller has emptied it.
  const lasts = resource.resource === 'namespaces';
  if (!lasts) assert.equal((await call('GET', `${collection}/${name}`)).code, 404, deleted.text);
  const changes = ['MODIFIED', 'MODIFIED', 'MODIFIED', 'MODIFIED', 'MODIFIED', ...(hasStatus ? ['MODIFIED'] : [])];
  const expected = [...changes, lasts ? 'MODIFIED' : 'DELETED'];
  assert.deepEqual(await eventsOf(watched.body as AsyncIterable<Uint8Array>, expected.length), expected);
  abort.abort();

  if (!resource.verbs.includes('deletecollection')) return;
  const other = make('others', { labels: { gone: 'yes' } });
  const second = await call('POST', collection, { body: other });
  assert.equal(second.code, 201, second.text);
  const swept = await call('DELETE', `${collection}?labelSelector=gone%3Dyes`, { body: { gracePeriodSeconds: 0 } });
  assert.equal(swept.code, 200, swept.text);
  assert.equal((await call('GET', `${collection}/${other.metadata.name}`)).code, 404);
}

/** The status path shows the object, and changes nothing of it but its status. Answers whether there is one. */
async function statusOf(call: Server['call'], resource: Resource, path: string): Promise<boolean> {
  if (!resource.subresources.some((sub) => sub.name === 'status' && sub.verbs.includes('get'))) return false;
  const before = await call('GET', `${path}/status`);
  assert.deepEqual(before.object, (await call('GET', path)).object);
  const put = await call('PUT', `${path}/status`, {
    body: {
      ...before.object,
      metadata: { ...before.object.metadata, annotations: { note: 'of the status path' }, labels: { kept: 'no' } },
    },
  });
  assert.equal(put.code, 200, put.text);
  assert.deepEqual(put.object['spec'], before.object['spec']);
  assert.equal(put.object.metadata.labels?.['kept'], 'yes', 'labels are no part of the status');
  assert.equal(put.object.metadata.generation, before.object.metadata.generation);
  return true;
}

async function eventsOf(body: AsyncIterable<Uint8Array>, count: number): Promise<string[]> {
  const types: string[] = [];
  let rest = '';
  for await (const chunk of body) {
    rest += Buffer.from(chunk).toString('utf8');
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const line of lines) types.push((JSON.parse(line) as { type: string }).type);
    if (types.length >= count) break;
  }
  return types;
}
