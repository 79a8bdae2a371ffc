/** Services that are refused: upstream's paths and texts to the letter; and what becomes of one that changes its type. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import { formatFieldError } from '#kube-machinery/field-error.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { defaultObject } from '../defaults/default-object.ts';
import type { KubeObject } from '../object.ts';
import { validateCreate } from './validate.ts';

const resource = resources.find(({ resource: name }) => name === 'services')!;

function errorsOf(spec: object): string[] {
  const service: KubeObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'default' },
    spec: { ports: [{ port: 80 }], ...spec },
  };
  return validateCreate(resource, defaultObject({ group: '', version: 'v1', kind: 'Service' }, service)).map(
    formatFieldError,
  );
}

test('ports: there, named when there are several, no two the same', () => {
  assert.deepEqual(errorsOf({}), []);
  assert.deepEqual(errorsOf({ ports: [] }), ['spec.ports: Required value']);
  assert.deepEqual(errorsOf({ ports: [], clusterIP: 'None' }), []);
  assert.deepEqual(errorsOf({ ports: [{ port: 80 }, { name: 'b', port: 80, targetPort: '_' }] }), [
    'spec.ports[0].name: Required value',
    'spec.ports[1].targetPort: Invalid value: "_": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
    'spec.ports[1].targetPort: Invalid value: "_": must contain at least one letter (a-z)',
    'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
  ]);
  assert.deepEqual(errorsOf({ ports: [{ port: 80, nodePort: 30000 }] }), [
    "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
  ]);
});

test('types and what belongs to them', () => {
  assert.deepEqual(
    errorsOf({ type: 'Any' })[0],
    'spec.type: Unsupported value: "Any": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
  );
  assert.deepEqual(errorsOf({ type: 'NodePort', clusterIP: 'None' }), [
    'spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services',
  ]);
  assert.deepEqual(errorsOf({ type: 'ExternalName', clusterIP: '10.96.0.9' }), [
    'spec.clusterIPs: Forbidden: may not be set for ExternalName services',
    'spec.externalName: Required value',
  ]);
  assert.deepEqual(errorsOf({ externalTrafficPolicy: 'Local', loadBalancerClass: 'a/b' }), [
    "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
    'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
  ]);
  assert.deepEqual(
    errorsOf({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 90000 } } }),
    [
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: must be greater than 0 and less than 86400',
    ],
  );
});

test('a service that changes its type loses what only the old one had', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  const path = '/api/v1/namespaces/default/services';
  const created = await call('POST', path, {
    body: { metadata: { name: 's' }, spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } },
  });
  assert.equal(created.code, 201, created.text);
  const patch = (spec: object) => call('PATCH', `${path}/s`, { type: 'application/merge-patch+json', body: { spec } });
  const inside = await patch({ type: 'ClusterIP' });
  assert.equal(inside.code, 200, inside.text);
  const { clusterIP, ports, ...rest } = inside.object['spec'] as Record<string, unknown> & { ports: object[] };
  assert.deepEqual(ports, [{ protocol: 'TCP', port: 80, targetPort: 80 }]);
  assert.equal(clusterIP, (created.object['spec'] as { clusterIP: string }).clusterIP);
  assert.equal('externalTrafficPolicy' in rest || 'allocateLoadBalancerNodePorts' in rest, false);
  const named = await patch({ type: 'ExternalName', externalName: 'example.com' });
  assert.equal(named.code, 200, named.text);
  assert.equal('clusterIP' in (named.object['spec'] as object), false);
});
