/** A kubelet's writes: its own things pass, others' do not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import { nodeRestriction } from './node-restriction.ts';

const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', uid: 'u1' } };
const get = (_resource: unknown, _namespace: string, name: string) => (name === 'n1' ? node : undefined);
const plugin = nodeRestriction({
  get,
  getLatest: async (...key) => get(...key),
  list: () => [node],
  watch: () => ({ [Symbol.dispose]() {} }),
});

/** Undefined when it passes, else why not. */
async function ask(resource: string, more: Partial<Omit<AdmissionRequest, 'resource'>>): Promise<string | undefined> {
  const request: AdmissionRequest = {
    operation: 'CREATE',
    resource: resources.find((one) => one.resource === resource)!,
    subresource: '',
    namespace: 'default',
    name: 'x',
    object: undefined,
    oldObject: undefined,
    user: { name: 'system:node:n1', groups: ['system:nodes'] },
    dryRun: false,
    signal: new AbortController().signal,
    ...more,
  };
  if (!plugin.handles(request)) return undefined;
  try {
    await plugin.validate!(request);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const object = (metadata: object, fields: object = {}) =>
  ({ apiVersion: 'v1', kind: 'Any', metadata, ...fields }) as KubeObject;

test('a node registers itself with the labels of a kubelet, and nobody else', async () => {
  const own = object({
    name: 'n1',
    labels: { 'kubernetes.io/hostname': 'n1', 'node.kubernetes.io/x': 'y', type: 'z' },
  });
  assert.equal(await ask('nodes', { name: 'n1', object: own }), undefined);
  assert.equal(
    await ask('nodes', { name: 'n2', object: object({ name: 'n2' }) }),
    'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"',
  );
  const master = object({ name: 'n1', labels: { 'node-role.kubernetes.io/control-plane': '', 'a.k8s.io/b': '' } });
  assert.equal(
    await ask('nodes', { name: 'n1', object: master }),
    'nodes "n1" is forbidden: node "n1" is not allowed to set the following labels: a.k8s.io/b, node-role.kubernetes.io/control-plane',
  );
  assert.equal(
    await ask('nodes', { operation: 'UPDATE', name: 'n1', object: own, oldObject: master }),
    'nodes "n1" is forbidden: is not allowed to modify labels: a.k8s.io/b, node-role.kubernetes.io/control-plane',
  );
  const tainted = object({ name: 'n1' }, { spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } });
  assert.equal(
    await ask('nodes', { operation: 'UPDATE', name: 'n1', object: object({ name: 'n1' }), oldObject: tainted }),
    'nodes "n1" is forbidden: node "n1" is not allowed to modify taints',
  );
});

test('pods: the status and the end of those on the node', async () => {
  const on = (nodeName: string, labels = {}) => object({ name: 'x', labels }, { spec: { nodeName } });
  const status = { operation: 'UPDATE', subresource: 'status' } as const;
  assert.equal(await ask('pods', { ...status, object: on('n1'), oldObject: on('n1') }), undefined);
  assert.equal(
    await ask('pods', { ...status, object: on('n2'), oldObject: on('n2') }),
    'pods "x" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself',
  );
  assert.equal(
    await ask('pods', { ...status, object: on('n1', { a: 'b' }), oldObject: on('n1') }),
    'pods "x" is forbidden: node "n1" cannot update labels through pod status',
  );
  assert.equal(await ask('pods', { operation: 'DELETE', oldObject: on('n1') }), undefined);
  assert.match((await ask('pods', { operation: 'DELETE', oldObject: on('n2') }))!, /can only delete pods/);
  assert.match((await ask('pods', { operation: 'UPDATE', object: on('n1'), oldObject: on('n1') }))!, /mirror pods$/);
});

test('pods: only mirrors of its own, that refer to nothing', async () => {
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'u1', controller: true };
  const metadata = { name: 'x', annotations: { 'kubernetes.io/config.mirror': 'h' }, ownerReferences: [owner] };
  const pod = (spec: object, more: object = {}) =>
    ask('pods', { object: object({ ...metadata, ...more }, { spec: { nodeName: 'n1', ...spec } }) });
  assert.equal(await pod({ containers: [{ name: 'c', env: [{ name: 'A', value: 'b' }] }] }), undefined);
  assert.match((await pod({}, { annotations: {} }))!, /node "n1" can only create mirror pods$/);
  assert.match((await pod({ nodeName: 'n2' }))!, /spec\.nodeName set to itself$/);
  assert.match((await pod({}, { ownerReferences: [] }))!, /with an owner reference set to itself$/);
  assert.match((await pod({}, { ownerReferences: [{ ...owner, uid: 'u0' }] }))!, /UID mismatch: expected u0 got u1$/);
  assert.match((await pod({ serviceAccountName: 'a' }))!, /reference a service account$/);
  assert.match((await pod({ volumes: [{ name: 'v', secret: { secretName: 's' } }] }))!, /reference secrets$/);
  const env = [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'm', key: 'k' } } }];
  assert.match((await pod({ containers: [{ name: 'c', env }] }))!, /reference configmaps$/);
});

test('leases of nodes, and users that are no nodes', async () => {
  const lease = { object: object({ name: 'n1' }), namespace: 'kube-node-lease', name: 'n1' };
  assert.equal(await ask('leases', lease), undefined);
  assert.match(
    (await ask('leases', { ...lease, object: object({ name: 'n2' }) }))!,
    /same name as the requesting node$/,
  );
  assert.match(
    (await ask('leases', { ...lease, namespace: 'default' }))!,
    /in the "kube-node-lease" system namespace$/,
  );
  const user = { name: 'ann', groups: ['system:authenticated'] };
  assert.equal(await ask('nodes', { name: 'n2', object: object({ name: 'n2' }), user }), undefined);
});
