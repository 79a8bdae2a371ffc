/** The server from outside, on an etcd in memory: the verbs, watches, and what every refusal says. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver as start } from '#testkit/in-memory-apiserver.ts';
import type { KubeObject } from './object.ts';

const configMap = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const maps = '/api/v1/namespaces/default/configmaps';

test('create, get, list, update, patch, delete', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  const created = await call('POST', maps, { body: configMap('a', { x: '1' }) });
  assert.equal(created.code, 201, created.text);
  assert.match(created.object.metadata.uid!, /^[0-9a-f-]{36}$/);
  const { resourceVersion } = created.object.metadata;
  assert.deepEqual((await call('GET', `${maps}/a`)).object, created.object);
  const again = await call('POST', maps, { body: configMap('a') });
  assert.equal(again.code, 409);
  assert.equal(again.object['message'], 'configmaps "a" already exists');
  const listed = await call('GET', `${maps}?limit=500`);
  assert.equal((listed.object['items'] as unknown[]).length, 1);
  assert.equal(listed.object.kind, 'ConfigMapList');
  const patched = await call('PATCH', `${maps}/a`, {
    type: 'application/merge-patch+json',
    body: { data: { y: '2' } },
  });
  assert.deepEqual(patched.object['data'], { x: '1', y: '2' });
  const stale = await call('PUT', `${maps}/a`, {
    body: { ...configMap('a'), metadata: { name: 'a', resourceVersion } },
  });
  assert.equal(stale.code, 409);
  assert.equal(
    stale.object['message'],
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  );
  const same = await call('PATCH', `${maps}/a`, { type: 'application/merge-patch+json', body: { data: { y: '2' } } });
  assert.equal(same.object.metadata.resourceVersion, patched.object.metadata.resourceVersion, 'no change, no write');
  const deleted = await call('DELETE', `${maps}/a`);
  assert.equal(deleted.object['status'], 'Success');
  const missing = await call('GET', `${maps}/a`);
  assert.deepEqual(missing.object, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'configmaps "a" not found',
    reason: 'NotFound',
    details: { name: 'a', kind: 'configmaps' },
    code: 404,
  });
});

test('a watch sees what happens after its list, and selectors turn changes into arrivals and departures', async () => {
  await using scope = new Scope();
  const { call, send } = await start(scope);
  const listed = await call('GET', maps);
  const abort = new AbortController();
  const response = await send(
    'GET',
    `${maps}?watch=1&labelSelector=on%3Dyes&resourceVersion=${listed.object.metadata.resourceVersion}`,
    {
      signal: abort.signal,
    },
  );
  assert.ok(!(response.body instanceof Uint8Array));
  await call('POST', maps, { body: configMap('a') });
  for (const on of ['yes', 'yes', 'no'])
    await call('PATCH', `${maps}/a`, {
      type: 'application/merge-patch+json',
      body: { metadata: { labels: { on } }, data: { at: `${Math.random()}` } },
    });
  const types: string[] = [];
  let rest = '';
  for await (const chunk of response.body) {
    rest += Buffer.from(chunk).toString('utf8');
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const line of lines) types.push((JSON.parse(line) as { type: string }).type);
    if (types.length === 3) break;
  }
  abort.abort();
  assert.deepEqual(types, ['ADDED', 'MODIFIED', 'DELETED']);
});

test('a Deployment gets its defaults; an invalid one is told all that is wrong', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  const deployment = (labels: object, image: string | undefined) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image }] } },
    },
  });
  const path = '/apis/apps/v1/namespaces/default/deployments';
  const bad = await call('POST', path, { body: deployment({ a: 'c' }, undefined) });
  assert.equal(bad.code, 422);
  assert.equal(
    bad.object['message'],
    'Deployment.apps "d" is invalid: [spec.template.metadata.labels: Invalid value: {"a":"c"}: `selector` does not match template `labels`, spec.template.spec.containers[0].image: Required value]',
  );
  const good = await call('POST', path, { body: deployment({ a: 'b' }, 'x:1') });
  assert.equal(good.code, 201, good.text);
  const spec = good.object['spec'] as Record<string, unknown>;
  assert.equal(spec['replicas'], 1);
  assert.deepEqual(spec['strategy'], {
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' },
  });
  assert.equal(good.object.metadata.generation, 1);
  const scaled = await call('PATCH', `${path}/d/scale`, {
    type: 'application/merge-patch+json',
    body: { spec: { replicas: 3 } },
  });
  assert.deepEqual(scaled.object['spec'], { replicas: 3 });
  const status = await call('PATCH', `${path}/d/status`, {
    type: 'application/merge-patch+json',
    body: { spec: { replicas: 9 }, status: { replicas: 2 } },
  });
  assert.equal((status.object['spec'] as { replicas: number }).replicas, 3);
  assert.equal(status.object.metadata.generation, 2);
});

test('pages of a list are of one moment', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await call('POST', maps, { body: configMap(name) });
  const first = await call('GET', `${maps}?limit=2`);
  await call('DELETE', `${maps}/c`);
  const names: string[] = [];
  let page = first;
  for (;;) {
    names.push(...(page.object['items'] as KubeObject[]).map(({ metadata }) => metadata.name!));
    const token = (page.object.metadata as { continue?: string }).continue;
    if (!token) break;
    page = await call('GET', `${maps}?limit=2&continue=${token}`);
  }
  assert.deepEqual(names, ['a', 'b', 'c', 'd', 'e']);
});

test('who may not is told so', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  const refused = await call('GET', '/api/v1/namespaces/default/pods', {
    user: { user: 'jo', groups: ['system:authenticated'] },
  });
  assert.equal(refused.code, 403);
  assert.equal(
    refused.object['message'],
    'pods is forbidden: User "jo" cannot list resource "pods" in API group "" in the namespace "default"',
  );
});

test('a table for kubectl', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  await call('POST', maps, { body: configMap('a', { x: '1' }) });
  const table = await call('GET', maps, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' });
  assert.equal(table.object.kind, 'Table');
  const [row] = table.object['rows'] as { cells: unknown[] }[];
  assert.deepEqual(row!.cells.slice(0, 2), ['a', 1]);
});

test('a resource can be taken away and come back while the server runs', async () => {
  await using scope = new Scope();
  const { call, server } = await start(scope);
  const served = server.registry.find('', 'v1', 'configmaps')!;
  server.registry.remove('', 'v1', 'configmaps');
  assert.equal((await call('GET', maps)).code, 404);
  const names = async () =>
    ((await call('GET', '/api/v1')).object['resources'] as { name: string }[]).map(({ name }) => name);
  assert.ok(!(await names()).includes('configmaps'));
  server.registry.add(served);
  assert.equal((await call('GET', maps)).code, 200);
  assert.ok((await names()).includes('configmaps'));
});

test('services get addresses of their own, even from two servers at once', async () => {
  await using scope = new Scope();
  const first = await start(scope);
  const second = await start(scope, first.etcd);
  const service = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { a: 'b' }, ports: [{ port: 80 }] },
  });
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      (i % 2 === 0 ? first : second).call('POST', '/api/v1/namespaces/default/services', { body: service(`s${i}`) }),
    ),
  );
  const ips = results.map(({ object, code, text }) => {
    assert.equal(code, 201, text);
    return (object['spec'] as { clusterIP: string }).clusterIP;
  });
  assert.equal(new Set(ips).size, 200);
  await first.call('DELETE', '/api/v1/namespaces/default/services/s0');
  const gone = await first.call('GET', `/apis/networking.k8s.io/v1/ipaddresses/${ips[0]}`);
  assert.equal(gone.code, 404);
  const taken = await first.call('POST', '/api/v1/namespaces/default/services', {
    body: { ...service('twin'), spec: { ...service('twin').spec, clusterIP: ips[1] } },
  });
  assert.equal(
    taken.object['message'],
    `Service "twin" is invalid: spec.clusterIPs: Invalid value: ["${ips[1]}"]: failed to allocate IP ${ips[1]}: provided IP is already allocated`,
  );
});

test('pods need a service account, and get its token', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  const pods = '/api/v1/namespaces/default/pods';
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'x' }] },
  };
  const refused = await call('POST', pods, { body: pod });
  assert.equal(
    refused.object['message'],
    'pods "p" is forbidden: error looking up service account default/default: serviceaccount "default" not found',
  );
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  await call('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account });
  const created = await call('POST', pods, { body: pod });
  assert.equal(created.code, 201, created.text);
  const spec = created.object['spec'] as { volumes: { name: string }[]; tolerations: unknown[]; priority: number };
  assert.match(spec.volumes[0]!.name, /^kube-api-access-/);
  assert.equal(spec.tolerations.length, 2);
  assert.equal(spec.priority, 0);
  const nowhere = await call('POST', '/api/v1/namespaces/nowhere/configmaps', { body: configMap('a') });
  assert.equal(nowhere.object['message'], 'namespaces "nowhere" not found');
});

test('unknown and duplicate fields, and values of another type, are told in the words of each verb', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  const path = '/apis/apps/v1/namespaces/default/deployments';
  const text =
    '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":1,"replicas":2,"replicaz":3,' +
    '"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}}';
  const strict = await call('POST', `${path}?fieldValidation=Strict`, { body: text });
  assert.equal(strict.code, 400);
  assert.equal(
    strict.object['message'],
    'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: duplicate field "spec.replicas", unknown field "spec.replicaz"',
  );
  assert.equal((await call('POST', `${path}?fieldValidation=Ignore`, { body: text })).code, 201);
  const patch = (type: string, body: unknown, query = '') =>
    call('PATCH', `${path}/d${query}`, { type: `application/${type}-patch+json`, body });
  const unknown = await patch('strategic-merge', { spec: { replicaz: 3, paused: null } }, '?fieldValidation=Strict');
  assert.equal(unknown.code, 422);
  assert.equal(
    unknown.object['message'],
    ' "" is invalid: patch: Invalid value: "map[spec:map[paused:<nil> replicaz:3]]": strict decoding error: unknown field "spec.replicaz"',
  );
  const typed = await patch('strategic-merge', { spec: { replicas: 'three' } });
  assert.equal(
    typed.object['message'],
    ' "" is invalid: patch: Invalid value: "map[spec:map[replicas:three]]": unrecognized type: int32',
  );
  const merged = await patch('merge', { spec: { replicas: 'three' } });
  assert.match(
    merged.object['message'] as string,
    /^ "" is invalid: patch: Invalid value: "{.*}": json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32$/,
  );
});

test('a node gets tokens for pods that run on it, and no others', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  await call('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  });
  const pod = await call('POST', '/api/v1/namespaces/default/pods', {
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { nodeName: 'a', containers: [{ name: 'c', image: 'x' }] },
    },
  });
  // The other node runs a pod of the same account.
  await call('POST', '/api/v1/namespaces/default/pods', {
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'other' },
      spec: { nodeName: 'b', containers: [{ name: 'c', image: 'x' }] },
    },
  });
  const ask = (node: string, boundObjectRef?: object) =>
    call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: {},
        spec: { ...(boundObjectRef && { boundObjectRef }) },
      },
      user: { user: `system:node:${node}`, groups: ['system:nodes'] },
    });
  const ref = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: pod.object.metadata.uid };
  assert.equal((await ask('a', ref)).code, 201);
  assert.match((await ask('a')).text, /node requested token not bound to a pod/);
  assert.match((await ask('b', ref)).text, /node requested token bound to a pod scheduled on a different node/);
});
