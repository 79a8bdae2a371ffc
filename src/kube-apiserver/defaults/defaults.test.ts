/** What is filled in where a manifest says nothing, or says it with an empty string or a zero. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { KubeObject } from '../object.ts';
import { defaultObject } from './default-object.ts';

function defaulted(group: string, kind: string, body: object): Readonly<Record<string, unknown>> {
  const object = { apiVersion: 'v1', kind, metadata: { name: 'a' }, ...body } as unknown as KubeObject;
  return defaultObject({ group, version: 'v1', kind }, object);
}

const port = { containerPort: 80, protocol: '' };

test('empty strings and zeros in a pod are as good as nothing, where upstream has no pointer', () => {
  const probe = { timeoutSeconds: 0, periodSeconds: 0, httpGet: { port: 80, path: '', scheme: '' } };
  const container = { name: 'c', image: 'a:1', imagePullPolicy: '', ports: [port], livenessProbe: probe };
  const spec = { restartPolicy: '', schedulerName: '', terminationGracePeriodSeconds: 0, containers: [container] };
  assert.deepEqual(defaulted('', 'Pod', { spec })['spec'], {
    enableServiceLinks: true,
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    terminationGracePeriodSeconds: 0,
    securityContext: {},
    containers: [
      {
        name: 'c',
        image: 'a:1',
        imagePullPolicy: 'IfNotPresent',
        resources: {},
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        livenessProbe: {
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
          httpGet: { port: 80, path: '/', scheme: 'HTTP' },
        },
      },
    ],
  });
});

test("in the node's network pods have host ports; templates do not say so", () => {
  const spec = { hostNetwork: true, containers: [{ name: 'c', image: 'a', ports: [{ ...port, hostPort: 0 }] }] };
  const portsOf = (object: unknown) => (object as { spec: typeof spec }).spec.containers[0]!.ports[0]!.hostPort;
  assert.equal(portsOf(defaulted('', 'Pod', { spec })), 80);
  const deployment = defaulted('apps', 'Deployment', { spec: { template: { spec } } });
  assert.equal(portsOf((deployment['spec'] as Record<string, unknown>)['template']), 0);
  assert.equal(portsOf(defaulted('', 'PodTemplate', { template: { spec } })['template']), 0);
});

test('a service without affinity keeps no configuration of it', () => {
  const clientIP = { clientIP: { timeoutSeconds: 5 } };
  const configOf = (sessionAffinity: string, sessionAffinityConfig?: object) =>
    (
      defaulted('', 'Service', { spec: { sessionAffinity, sessionAffinityConfig } })['spec'] as Readonly<
        Record<string, unknown>
      >
    )['sessionAffinityConfig'];
  assert.equal(configOf('', clientIP), undefined);
  assert.deepEqual(configOf('ClientIP', clientIP), clientIP);
  assert.deepEqual(configOf('ClientIP', {}), { clientIP: { timeoutSeconds: 10800 } });
});

test('a stateful set that names the rolling update gets no partition', () => {
  const strategyOf = (updateStrategy?: object) =>
    (defaulted('apps', 'StatefulSet', { spec: { updateStrategy } })['spec'] as Record<string, unknown>)[
      'updateStrategy'
    ];
  assert.deepEqual(strategyOf(), { type: 'RollingUpdate', rollingUpdate: { partition: 0 } });
  assert.deepEqual(strategyOf({ type: 'RollingUpdate' }), { type: 'RollingUpdate' });
});
