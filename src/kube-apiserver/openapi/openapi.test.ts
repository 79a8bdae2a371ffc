/** The OpenAPI documents: what kubectl looks up in them, how they are cached, and their operations against upstream's document. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { type HttpResponse, header } from '#transport/http.ts';
import { ResourceRegistry } from '../registry.ts';
import { requestInfoOf } from '../request-info.ts';
import { servedResource } from '../served-resource.ts';
import { documentV2 } from './documents.ts';
import { createOpenApi } from './openapi.ts';
import { pathsOf } from './operations.ts';

/** JSON whose shape the test itself looks at. */
type Any = ReturnType<typeof JSON.parse>;

function start() {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const registry = new ResourceRegistry();
  registry.add(...resources.map((resource) => servedResource(resource, (_, strategy) => strategy)));
  const describe = (type: string, field?: string) =>
    type === 'core/v1.PodSpec' ? `about ${field ?? 'it'}` : undefined;
  const openApi = createOpenApi({ registry, clock, descriptions: async () => describe, version: 'v1.36.3' });
  const get = async (target: string, headers: Record<string, string> = {}): Promise<HttpResponse | undefined> => {
    const answer = openApi.answer({
      request: {
        method: 'GET',
        target,
        headers: Object.entries(headers),
        authority: 'test',
        protocol: 'HTTP/2.0',
        body: (async function* () {})(),
        peer: { address: 'in-memory' },
        signal: new AbortController().signal,
      },
      info: requestInfoOf('GET', target)!,
      user: { name: 'a', groups: [] },
    });
    await clock.advance(1000, () => new Promise((resolve) => setImmediate(resolve)));
    return answer;
  };
  const json = async (target: string, headers?: Record<string, string>): Promise<Any> =>
    JSON.parse(Buffer.from((await get(target, headers))!.body as Uint8Array).toString());
  return { registry, get, json };
}

test('the index leads to a document for each group and version; its hash lets it be kept for ever', async () => {
  const { get, json } = start();
  const { paths } = await json('/openapi/v3');
  assert.ok('api/v1' in paths && 'apis/apps/v1' in paths && 'apis/rbac.authorization.k8s.io/v1' in paths);
  const url: string = paths['apis/apps/v1'].serverRelativeURL;
  assert.match(url, /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/);
  const response = (await get(url))!;
  assert.equal(response.status, 200);
  assert.equal(header(response.headers, 'cache-control'), 'public, immutable');
  assert.equal(header(response.headers, 'expires'), 'Fri, 01 Jan 2027 00:00:01 GMT');
  const etag = header(response.headers, 'etag')!;
  assert.equal((await get(url, { 'if-none-match': etag }))!.status, 304);
  const moved = (await get('/openapi/v3/apis/apps/v1?hash=OLD'))!;
  assert.deepEqual([moved.status, header(moved.headers, 'location')], [301, url]);
  assert.equal(await get('/openapi/v3/apis/none.example.com/v1'), undefined);
  assert.equal(await get('/openid/v1/jwks'), undefined);
});

test('clients that only take protobuf are told so', async () => {
  const { get } = start();
  const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
  assert.equal((await get('/openapi/v2', { accept }))!.status, 406);
  assert.equal((await get('/openapi/v2', { accept: `${accept}, application/json` }))!.status, 200);
});

test('what kubectl apply and explain look up: the patch operation, merge keys through references, the kind of a path', async () => {
  const { json } = start();
  const document = await json('/openapi/v3/apis/apps/v1');
  const { patch } = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
  assert.deepEqual(patch['x-kubernetes-group-version-kind'], { group: 'apps', version: 'v1', kind: 'Deployment' });
  assert.ok(patch.parameters.some(({ name }: Any) => name === 'fieldValidation'));
  assert.deepEqual(patch.requestBody.content['application/strategic-merge-patch+json'].schema, {
    $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch',
  });
  const { schemas } = document.components;
  const podSpec = schemas['io.k8s.api.core.v1.PodSpec'];
  assert.equal(podSpec.description, 'about it');
  assert.deepEqual(podSpec.properties.containers, {
    type: 'array',
    items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
    description: 'about containers',
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  });
  assert.deepEqual(podSpec.properties.affinity, {
    allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.Affinity' }],
    description: 'about affinity',
  });
  assert.deepEqual(podSpec.properties.nodeSelector['x-kubernetes-map-type'], 'atomic');
  assert.deepEqual(schemas['io.k8s.api.apps.v1.Deployment']['x-kubernetes-group-version-kind'], [
    { group: 'apps', kind: 'Deployment', version: 'v1' },
  ]);
});

test('every reference of every document leads somewhere', async () => {
  const { json } = start();
  for (const [name, { serverRelativeURL }] of Object.entries<Any>((await json('/openapi/v3')).paths)) {
    const document = await json(serverRelativeURL);
    check(document, document.components.schemas, '#/components/schemas/', name);
  }
  const v2 = await json('/openapi/v2');
  check(v2, v2.definitions, '#/definitions/', 'v2');

  function check(value: Any, schemas: Any, prefix: string, where: string): void {
    if (typeof value !== 'object' || value === null) return;
    if (typeof value.$ref === 'string')
      assert.ok(Object.keys(schemas[value.$ref.slice(prefix.length)] ?? {}).length > 0, `${where}: ${value.$ref}`);
    for (const item of Object.values(value)) check(item, schemas, prefix, where);
  }
});

test('a resource that is added has its document; one whose kind is not known takes no strategic patch', async () => {
  const { registry, json } = start();
  const before = (await json('/openapi/v3')).paths;
  const pods = registry.find('', 'v1', 'pods')!;
  const row = {
    group: 'stable.example.com',
    version: 'v1',
    kind: 'CronTab',
    listKind: 'CronTabList',
    resource: 'crontabs',
  };
  registry.add({ ...pods, resource: { ...pods.resource, ...row, singular: 'crontab', subresources: [] } });
  const { paths } = await json('/openapi/v3');
  assert.deepEqual(paths['api/v1'], before['api/v1']);
  const document = await json(paths['apis/stable.example.com/v1'].serverRelativeURL);
  const { patch } = document.paths['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}'];
  assert.deepEqual(Object.keys(patch.requestBody.content), [
    'application/json-patch+json',
    'application/merge-patch+json',
  ]);
  assert.ok('com.example.stable.v1.CronTabList' in document.components.schemas);
});

const fixture = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/openapi/kubernetes-v1.36-openapi-v2.json`;

test("operations and schemas agree with upstream's document", {
  skip: existsSync(fixture) ? false : 'no fixtures',
}, () => {
  const theirs = JSON.parse(readFileSync(fixture, 'utf8')) as Any;
  const ours = documentV2(resources, {
    describe: () => undefined,
    version: '',
    takesStrategicPatch: () => true,
  }) as Any;
  let operations = 0;
  for (const resource of resources)
    for (const { path, operations: own } of pathsOf(resource))
      for (const { method, id, action, description, parameters, codes } of own) {
        const expected = theirs.paths[path][method];
        const query = [...(expected.parameters ?? []), ...theirs.paths[path].parameters]
          .map((parameter: Any) => (parameter.$ref ? theirs.parameters[parameter.$ref.split('/').pop()] : parameter))
          .filter((parameter: Any) => parameter.in === 'query')
          .map(({ name, type }: Any) => `${name}:${type}`)
          // Sharded lists are an alpha feature that is off, and `pretty` stands with every path.
          .filter((text: string) => !/^(shardSelector|pretty):/.test(text));
        assert.deepEqual(
          { id, action, description, query: parameters.map(({ name, type }) => `${name}:${type}`).sort() },
          {
            id: expected.operationId,
            action: expected['x-kubernetes-action'],
            description: expected.description,
            query: [...new Set(query)].sort(),
          },
          `${method} ${path}`,
        );
        assert.deepEqual(
          Object.keys(expected.responses).filter((code) => code !== '401'),
          codes.map(String),
        );
        operations++;
      }
  assert.ok(operations > 600, `${operations} operations`);
  for (const [name, { properties, required }] of Object.entries<Any>(ours.definitions)) {
    const expected = theirs.definitions[name];
    assert.ok(expected, name);
    const known = Object.keys(expected.properties ?? {}).filter((field) => field !== 'shardInfo');
    assert.deepEqual(Object.keys(properties ?? {}).sort(), known.sort(), name);
    assert.deepEqual([...(required ?? [])].sort(), [...(expected.required ?? [])].sort(), name);
  }
});
