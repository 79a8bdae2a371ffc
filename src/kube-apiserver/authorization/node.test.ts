/** What a kubelet may read: what its pods name, and nothing that others' do; every refusal in upstream's words. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

const timeout = 20_000;
const core = '/api/v1/namespaces/default';

async function startWithPods(scope: Scope) {
  const { call, send } = await startInMemoryApiserver(scope);
  const post = async (path: string, body: object) => {
    const answer = await call('POST', path, { body });
    assert.equal(answer.code, 201, answer.text);
    return answer.object;
  };
  for (const name of ['default', 'worker']) await post(`${core}/serviceaccounts`, { metadata: { name } });
  for (const name of ['env', 'mounted', 'pull', 'projected', 'of-the-disk', 'none'])
    await post(`${core}/secrets`, { metadata: { name } });
  await post(`${core}/configmaps`, { metadata: { name: 'settings' } });
  await post('/api/v1/persistentvolumes', {
    metadata: { name: 'disk' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      claimRef: { kind: 'PersistentVolumeClaim', namespace: 'default', name: 'data' },
      csi: {
        driver: 'csi.example.com',
        volumeHandle: 'v',
        nodeStageSecretRef: { name: 'of-the-disk', namespace: 'default' },
        controllerPublishSecretRef: { name: 'none', namespace: 'default' },
      },
    },
  });
  await post(`${core}/persistentvolumeclaims`, {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  const pod = (name: string, nodeName: string, spec: object) =>
    post(`${core}/pods`, { metadata: { name }, spec: { nodeName, containers: [{ name: 'c', image: 'x' }], ...spec } });
  await pod('one', 'a', {
    serviceAccountName: 'worker',
    automountServiceAccountToken: false,
    imagePullSecrets: [{ name: 'pull' }],
    containers: [
      {
        name: 'c',
        image: 'x',
        env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'env', key: 'k' } } }],
        envFrom: [{ configMapRef: { name: 'settings' } }],
      },
    ],
    volumes: [
      { name: 's', secret: { secretName: 'mounted' } },
      { name: 'p', projected: { sources: [{ secret: { name: 'projected' } }] } },
      { name: 'd', persistentVolumeClaim: { claimName: 'data' } },
    ],
  });
  await pod('two', 'b', { automountServiceAccountToken: false });
  const as = (node: string) => ({ user: { user: `system:node:${node}`, groups: ['system:nodes'] } });
  const codeOf = async (node: string, path: string, method = 'GET') => (await call(method, path, as(node))).code;
  const messageOf = async (node: string, path: string, method = 'GET') => {
    const { code, object } = await call(method, path, as(node));
    assert.equal(code, 403, path);
    return object['message'];
  };
  return { call, send, post, pod, as, codeOf, messageOf };
}

test('a node reads what its pods name, through volumes too, and no other node does', { timeout }, async () => {
  await using scope = new Scope();
  const { codeOf, messageOf, call } = await startWithPods(scope);
  const named = [
    'secrets/env',
    'secrets/mounted',
    'secrets/pull',
    'secrets/projected',
    'secrets/of-the-disk',
    'configmaps/settings',
  ];
  for (const name of [...named, 'persistentvolumeclaims/data', 'pods/one']) {
    assert.equal(await codeOf('a', `${core}/${name}`), 200, name);
    assert.equal(await codeOf('b', `${core}/${name}`), 403, name);
  }
  assert.equal(await codeOf('a', '/api/v1/persistentvolumes/disk'), 200);
  assert.equal(await codeOf('b', '/api/v1/persistentvolumes/disk'), 403);
  assert.equal(
    await messageOf('a', `${core}/secrets/none`),
    'secrets "none" is forbidden: User "system:node:a" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node \'a\' and this object',
  );
  assert.equal(await codeOf('a', `${core}/secrets?fieldSelector=metadata.name%3Denv`), 200, 'a list of the one');
  // With the pod goes the right.
  await call('DELETE', `${core}/pods/one`, { body: { gracePeriodSeconds: 0 } });
  for (const name of named) assert.equal(await codeOf('a', `${core}/${name}`), 403, name);
});

test('lists, writes and what belongs to other nodes are refused with the reason', { timeout }, async () => {
  await using scope = new Scope();
  const { messageOf, codeOf } = await startWithPods(scope);
  const reasons: readonly (readonly [method: string, path: string, reason: string])[] = [
    ['GET', `${core}/secrets`, 'No Object name found'],
    ['GET', '/api/v1/secrets', 'can only read namespaced object of this type'],
    ['DELETE', `${core}/secrets/env`, 'can only read resources of this type'],
    ['GET', '/api/v1/persistentvolumes', 'can only get individual resources of this type'],
    ['GET', `${core}/pods`, 'can only list/watch pods with spec.nodeName field selector'],
    [
      'GET',
      '/api/v1/pods?fieldSelector=spec.nodeName%3Db',
      'can only list/watch pods with spec.nodeName field selector',
    ],
    ['GET', '/api/v1/nodes', "node 'a' cannot read all nodes, only its own Node object"],
    ['GET', '/api/v1/nodes/b', "node 'a' cannot read 'b', only its own Node object"],
    [
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/default/leases/a',
      'can only access leases in the "kube-node-lease" system namespace',
    ],
    [
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/b',
      'can only access node lease with the same name as the requesting node',
    ],
    [
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases',
      'can only get, create, update, patch, or delete a node lease',
    ],
    [
      'GET',
      '/apis/resource.k8s.io/v1/resourceslices',
      'can only list/watch/deletecollection resourceslices with nodeName field selector',
    ],
    ['GET', `${core}/serviceaccounts/worker`, 'can only create tokens for individual service accounts'],
    ['POST', `${core}/serviceaccounts/default/token`, "no relationship found between node 'a' and this object"],
  ];
  for (const [method, path, reason] of reasons) {
    const message = String(await messageOf('a', path, method));
    assert.equal(message.slice(-reason.length - 2), `: ${reason}`, message);
  }
  assert.equal(await codeOf('a', '/api/v1/pods?fieldSelector=spec.nodeName%3Da'), 200);
  assert.equal(await codeOf('a', '/api/v1/nodes/a'), 404, 'may be asked for before it is there');
  assert.equal(await codeOf('a', '/api/v1/services'), 200, 'what all nodes may alike');
});

test('a mirror pod gives its node no rights', { timeout }, async () => {
  await using scope = new Scope();
  const { call, as, codeOf } = await startWithPods(scope);
  await call('POST', '/api/v1/nodes', { body: { metadata: { name: 'b' } } });
  const { code, text } = await call('POST', `${core}/pods`, {
    body: {
      metadata: { name: 'mirror', annotations: { 'kubernetes.io/config.mirror': 'x' } },
      spec: { nodeName: 'a', containers: [{ name: 'c', image: 'x', envFrom: [{ secretRef: { name: 'none' } }] }] },
    },
  });
  assert.equal(code, 201, text);
  assert.equal(await codeOf('a', `${core}/secrets/none`), 403);
  assert.equal((await call('GET', `${core}/pods/mirror`, as('a'))).code, 200);
});
