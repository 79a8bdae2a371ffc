/** Decoding of built-in kinds: what is dropped, what is refused and how it is said; upstream's wire fixtures without loss. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { kinds } from '#api-kube/facts.ts';
import { decode, patchSchemaOf } from './built-in-schemas.ts';
import { parseJson } from './strict-json.ts';
import { parseYaml } from './yaml.ts';

const deployment = { group: 'apps', version: 'v1', kind: 'Deployment' };
const pod = { group: '', version: 'v1', kind: 'Pod' };
const silent = () => {};

test('unknown fields: refused, warned about, dropped', () => {
  const value = { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicaz: 1, template: { spec: { foo: {} } } } };
  assert.throws(
    () => decode(deployment, value, 'Strict', silent),
    /strict decoding error: unknown field "spec.replicaz", unknown field "spec.template.spec.foo"/,
  );
  const warnings: string[] = [];
  const decoded = decode(deployment, value, 'Warn', (message) => warnings.push(message));
  assert.deepEqual(warnings, ['unknown field "spec.replicaz"', 'unknown field "spec.template.spec.foo"']);
  assert.deepEqual(decoded, { apiVersion: 'apps/v1', kind: 'Deployment', spec: { template: { spec: {} } } });
});

test('a value of another type is named as Go does', () => {
  assert.throws(
    () => decode(deployment, { spec: { replicas: 'three' } }, 'Ignore', silent),
    /Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32/,
  );
  assert.throws(
    () => decode(pod, { spec: { containers: [{ image: 5 }] } }, 'Ignore', silent),
    /json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string/,
  );
  assert.throws(
    () => decode(pod, { spec: { containers: [{ resources: { limits: { cpu: 'lots' } } }] } }, 'Ignore', silent),
    /Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression/,
  );
});

test('bytes are base64 as Go takes it', () => {
  const secret = { group: '', version: 'v1', kind: 'Secret' };
  const decodeData = (a: string) => decode(secret, { data: { a } }, 'Strict', silent);
  for (const good of ['', 'YQ==', 'YWI=', 'YWJj', 'YW\nJj\n']) decodeData(good);
  for (const [bad, at] of [
    ['hello', 4],
    ['a b', 1],
    ['YQ=', 3],
    ['YQ', 0],
    ['YQ=x', 2],
    ['YQ==x', 4],
    ['=', 0],
    ['YWI=YQ==', 4],
  ] as const)
    assert.throws(
      () => decodeData(bad),
      new RegExp(`Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte ${at}$`),
      bad,
    );
});

test('nulls go, quantities become canonical', () => {
  const value = {
    spec: { nodeName: null, containers: [{ name: 'a', resources: { limits: { cpu: 0.5, memory: '1024Mi' } } }] },
  };
  assert.deepEqual(decode(pod, value, 'Strict', silent), {
    spec: { containers: [{ name: 'a', resources: { limits: { cpu: '500m', memory: '1Gi' } } }] },
  });
});

test('what is empty and means nothing goes, as where Go encodes; pointers and structs stay', () => {
  const value = {
    metadata: { name: 'a', labels: {}, ownerReferences: [], finalizers: [] },
    spec: {
      hostNetwork: false,
      enableServiceLinks: false,
      nodeSelector: {},
      tolerations: [],
      containers: [{ name: 'c', args: [], env: [{ name: 'E', value: '' }], resources: {}, tty: false }],
      volumes: [{ name: 'v', emptyDir: {} }],
    },
  };
  assert.deepEqual(decode(pod, value, 'Strict', silent), {
    metadata: { name: 'a' },
    spec: {
      enableServiceLinks: false,
      containers: [{ name: 'c', env: [{ name: 'E' }], resources: {} }],
      volumes: [{ name: 'v', emptyDir: {} }],
    },
  });
  const claim = { group: '', version: 'v1', kind: 'PersistentVolumeClaim' };
  const spec = { storageClassName: '', volumeName: '' };
  assert.deepEqual(decode(claim, { spec }, 'Strict', silent), { spec: { storageClassName: '' } });
});

test('merge keys of lists', () => {
  const containers = patchSchemaOf(pod).field('spec')!.schema!.field('containers')!;
  assert.deepEqual(containers.strategies, ['merge']);
  assert.equal(containers.mergeKey, 'name');
  assert.equal(containers.schema!.field('ports')!.mergeKey, 'containerPort');
});

const fixtures = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/kubernetes-api/v1.36`;

test("upstream's wire fixtures: JSON and YAML are one value, and nothing is lost", {
  skip: existsSync(fixtures) ? false : 'no fixtures',
}, () => {
  let checked = 0;
  for (const file of readdirSync(fixtures).filter((name) => name.endsWith('.json'))) {
    const json = parseJson(readFileSync(`${fixtures}/${file}`, 'utf8')).value as { apiVersion?: string; kind?: string };
    const yaml = parseYaml(readFileSync(`${fixtures}/${file.replace('.json', '.yaml')}`, 'utf8')).value;
    // Values, not their order: YAML's is alphabetical.
    assert.deepEqual(yaml, json, file);
    const { apiVersion = '', kind = '' } = json;
    const slash = apiVersion.indexOf('/');
    const gvk = { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1), kind };
    if (kinds[`${gvk.group}/${gvk.version}/${gvk.kind}`] === undefined) continue;
    const expected = JSON.stringify(json);
    assert.equal(JSON.stringify(decode(gvk, json, 'Strict', silent)), expected, file);
    checked++;
  }
  assert.ok(checked > 60, `${checked} fixtures of built-in kinds`);
});
