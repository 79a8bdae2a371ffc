/** Rows of what administrators look at. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import type { KubeObject } from '../object.ts';
import { printerOf } from './printer-of.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

/** Cells by column, without the age. */
function cells(group: string, kind: string, body: object): Record<string, unknown> {
  const { version } = resources.findLast((resource) => resource.group === group && resource.kind === kind)!;
  const { columns, row } = printerOf({ group, version, kind });
  const metadata = { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z' };
  const object = { apiVersion: version, kind, metadata, ...body } as KubeObject;
  const values = row(object, nowMs);
  assert.equal(values.length, columns.length);
  const pairs = columns.map(({ name }, index) => [name, values[index]] as const);
  return Object.fromEntries(pairs.filter(([name]) => name !== 'Age' && name !== 'Name'));
}

test('autoscalers: what they watch, and how far it is', () => {
  const resource = (averageUtilization?: number) => ({
    type: 'Resource',
    resource: { name: 'cpu', target: { averageUtilization } },
  });
  const spec = { scaleTargetRef: { kind: 'Deployment', name: 'web' }, minReplicas: 1, maxReplicas: 3 };
  const targets = (metrics: object[], currentMetrics: object[] = []) =>
    cells('autoscaling', 'HorizontalPodAutoscaler', { spec: { ...spec, metrics }, status: { currentMetrics } })[
      'Targets'
    ];
  assert.equal(targets([]), '<none>');
  assert.equal(targets([resource(80)]), 'cpu: <unknown>/80%');
  assert.equal(
    targets([resource(80)], [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 12 } } }]),
    'cpu: 12%/80%',
  );
  const pods = { type: 'Pods', pods: { target: { averageValue: '10' } } };
  assert.equal(targets([pods, resource(80), pods]), '<unknown>/10 (avg), cpu: <unknown>/80% + 1 more...');
  assert.equal(cells('autoscaling', 'HorizontalPodAutoscaler', { spec })['Reference'], 'Deployment/web');
});

test('quotas: what is used of what, limits apart', () => {
  const hard = { pods: '4', 'limits.cpu': '2', 'requests.cpu': '1' };
  assert.deepEqual(cells('', 'ResourceQuota', { status: { hard, used: { pods: '1' } } }), {
    Request: 'pods: 1/4, requests.cpu: 0/1',
    Limit: 'limits.cpu: 0/2',
  });
});

test('certificate requests, services of groups, policies, revisions', () => {
  const request = { spec: { signerName: 's', username: 'jo', expirationSeconds: 3600 } };
  const conditions = [{ type: 'Approved', status: 'True' }];
  assert.deepEqual(
    cells('certificates.k8s.io', 'CertificateSigningRequest', { ...request, status: { conditions, certificate: 'x' } }),
    { SignerName: 's', Requestor: 'jo', RequestedDuration: '60m', Condition: 'Approved,Issued' },
  );
  assert.deepEqual(cells('apiregistration.k8s.io', 'APIService', { spec: {} }), {
    Service: 'Local',
    Available: 'Unknown',
  });
  assert.deepEqual(
    cells('admissionregistration.k8s.io', 'ValidatingAdmissionPolicy', {
      spec: { validations: [{}, {}], paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } },
    }),
    { Validations: 2, ParamKind: 'v1/ConfigMap' },
  );
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', controller: true }];
  assert.deepEqual(cells('apps', 'ControllerRevision', { metadata: { name: 'a', ownerReferences }, revision: 3 }), {
    Controller: 'daemonset.apps/d',
    Revision: 3,
  });
});
