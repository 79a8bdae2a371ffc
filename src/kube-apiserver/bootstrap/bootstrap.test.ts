/** What an empty cluster gets from its first server, and that a second start leaves it alone. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';

test('roles and bindings of the system are there, in the cluster and in its namespaces', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  for (const path of [
    'clusterroles/cluster-admin',
    'clusterroles/system:controller:persistent-volume-binder',
    'clusterrolebindings/system:controller:attachdetach-controller',
    'namespaces/kube-system/roles/system::leader-locking-kube-scheduler',
    'namespaces/kube-public/rolebindings/system:controller:bootstrap-signer',
  ]) {
    const { code, object } = await call('GET', `${rbac}/${path}`);
    assert.equal(code, 200, path);
    assert.deepEqual(object.metadata.labels?.['kubernetes.io/bootstrapping'], 'rbac-defaults', path);
  }
  const missing = await call('GET', `${rbac}/clusterroles/system:controller:bootstrap-signer`);
  assert.equal(missing.code, 404, 'a role of two namespaces, not of the cluster');
});

test('what the roles of namespaces allow holds there only', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  const user = { user: 'system:serviceaccount:kube-system:token-cleaner', groups: [] };
  assert.equal((await call('GET', '/api/v1/namespaces/kube-system/secrets', { user })).code, 200);
  assert.equal((await call('GET', '/api/v1/namespaces/default/secrets', { user })).code, 403);
});

test('a second server finds everything in place, but for what somebody took away', async () => {
  await using scope = new Scope();
  const { call, etcd } = await startInMemoryApiserver(scope);
  const dns = `${rbac}/clusterroles/system:kube-dns`;
  const coredns = `${rbac}/clusterroles/system:coredns`;
  const before = await call('GET', coredns);
  await call('PATCH', dns, { type: 'application/merge-patch+json', body: { rules: [] } });
  const second = await startInMemoryApiserver(scope, etcd);
  assert.deepEqual((await second.call('GET', coredns)).object, before.object);
  assert.deepEqual((await second.call('GET', dns)).object['rules'], [
    { verbs: ['list', 'watch'], apiGroups: [''], resources: ['endpoints', 'services'] },
  ]);
});
