/** The table of built-in resources beside upstream's OpenAPI document. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { resources } from './resources.ts';

const fixtures = process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures';
const file = `${fixtures}/openapi/kubernetes-v1.36-openapi-v2.json`;

test('68 resources, each once', () => {
  assert.equal(resources.length, 68);
  assert.equal(new Set(resources.map(({ group, version, resource }) => `${group}/${version}/${resource}`)).size, 68);
});

test("paths, verbs and kinds are those of upstream's OpenAPI", {
  skip: existsSync(file) ? false : 'no fixtures',
}, () => {
  const { paths } = JSON.parse(readFileSync(file, 'utf8')) as {
    paths: Record<string, Record<string, { 'x-kubernetes-action'?: string }>>;
  };
  const actions = (path: string) =>
    new Set(
      Object.entries(paths[path] ?? {})
        .filter(([method]) => method !== 'parameters')
        .map(([, operation]) => operation['x-kubernetes-action'] ?? ''),
    );
  const actionOf: Record<string, string> = { create: 'post', update: 'put' };
  for (const { group, version, resource, namespaced, verbs, subresources } of resources) {
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const collection = `${root}/${namespaced ? 'namespaces/{namespace}/' : ''}${resource}`;
    const named = `${collection}/{${resource === 'namespaces' ? 'name' : 'name'}}`;
    const found = new Set([...actions(collection), ...actions(named)]);
    for (const verb of verbs)
      if (verb !== 'watch') assert.ok(found.has(actionOf[verb] ?? verb), `${collection}: ${verb}`);
    for (const { name, verbs: own } of subresources) {
      const operations = Object.keys(paths[`${named}/${name}`] ?? {});
      const methods: Record<string, string> = { create: 'post', update: 'put' };
      for (const verb of own) assert.ok(operations.includes(methods[verb] ?? verb), `${named}/${name}: ${verb}`);
    }
  }
});
