/** References between variables, precedence of their sources, and what is said about those that are missing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { containerEnv, EnvError, type EnvSources, expandReferences } from './env.ts';
import type { Container, Pod } from './pod.ts';

const pod: Pod = {
  metadata: { name: 'p', namespace: 'n', uid: 'u', labels: { app: 'web' } },
  spec: { containers: [{ name: 'main' }] },
};
const sources: EnvSources = {
  configMap: (name) => (name === 'settings' ? { COLOR: 'red', SIZE: '1' } : undefined),
  secret: (name) => (name === 'login' ? { COLOR: 'blue', password: 'x' } : undefined),
  services: new Map([['KUBERNETES_SERVICE_HOST', '10.96.0.1']]),
  hostIp: '192.0.2.1',
  podIps: ['10.0.0.2'],
  allocatable: { cpu: '2', memory: '1Gi' },
};

function values(container: Omit<Container, 'name'>): Record<string, string> {
  const list = containerEnv(pod, { name: 'main', ...container }, sources);
  return Object.fromEntries(list.map(({ key, value }) => [key, value]));
}

describe('references', { timeout: 5000 }, () => {
  it('are replaced, escaped, and left as they are when unknown or open', () => {
    const lookup = (name: string) => (name === 'A' ? 'one' : undefined);
    const cases: readonly (readonly [string, string])[] = [
      ['$(A)', 'one'],
      ['x$(A)y$(A)', 'xoneyone'],
      ['$$(A)', '$(A)'],
      ['$$$(A)', '$one'],
      ['$(B)', '$(B)'],
      ['$(A', '$(A'],
      ['$A', '$A'],
      ['a$', 'a$'],
    ];
    for (const [text, expanded] of cases) assert.equal(expandReferences(text, lookup), expanded, text);
  });

  it('see variables before them, and services', () => {
    const env = [
      { name: 'LATE', value: '$(HOST)' },
      { name: 'HOST', value: '$(KUBERNETES_SERVICE_HOST)' },
      { name: 'URL', value: 'https://$(HOST)' },
    ];
    const { LATE, HOST, URL } = values({ env });
    assert.deepEqual([LATE, HOST, URL], ['$(HOST)', '10.96.0.1', 'https://10.96.0.1']);
  });
});

describe('sources', { timeout: 5000 }, () => {
  it('win in order: own variables, then the later of whole objects, then services', () => {
    const found = values({
      envFrom: [{ configMapRef: { name: 'settings' } }, { prefix: 'S_', secretRef: { name: 'login' } }],
      env: [{ name: 'SIZE', value: '2' }],
    });
    assert.deepEqual(found, {
      COLOR: 'red',
      SIZE: '2',
      S_COLOR: 'blue',
      S_password: 'x',
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
    });
  });

  it('give fields of the pod and amounts of the container', () => {
    const found = values({
      resources: { limits: { cpu: '1500m' } },
      env: [
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
      ],
    });
    assert.deepEqual([found['APP'], found['IP'], found['CPU'], found['MEMORY']], ['web', '10.0.0.2', '2', '1024']);
  });

  it('that are missing stop the container unless they are optional', () => {
    const key = { name: 'X', valueFrom: { configMapKeyRef: { name: 'settings', key: 'nope' } } };
    assert.throws(() => values({ env: [key] }), new EnvError("couldn't find key nope in ConfigMap n/settings"));
    assert.throws(
      () => values({ envFrom: [{ secretRef: { name: 'gone' } }] }),
      new EnvError('secret "gone" not found'),
    );
    const optional = { name: 'X', valueFrom: { configMapKeyRef: { name: 'gone', key: 'a', optional: true } } };
    assert.equal('X' in values({ env: [optional], envFrom: [{ secretRef: { name: 'gone', optional: true } }] }), false);
  });
});
