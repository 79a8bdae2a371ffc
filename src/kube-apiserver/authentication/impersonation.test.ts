/** Acting as somebody else: who may, as whom, and what the other then may. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

type Headers = readonly (readonly [string, string])[];
const reviews = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

async function start(scope: Scope) {
  const server = await startInMemoryApiserver(scope);
  const whoami = async (headers: Headers, user?: { user: string; groups: string[] }) => {
    const { code, object } = await server.call('POST', reviews, { body: {}, headers, ...(user && { user }) });
    return code === 201 ? (object['status'] as { userInfo: unknown }).userInfo : { code, message: object['message'] };
  };
  return { ...server, whoami };
}

test('an administrator is whoever they say, with the groups that go with it', async () => {
  await using scope = new Scope();
  const { call, whoami } = await start(scope);
  assert.deepEqual(await whoami([['impersonate-user', 'jo']]), { username: 'jo', groups: ['system:authenticated'] });
  assert.deepEqual(
    await whoami([
      ['impersonate-user', 'jo'],
      ['impersonate-group', 'dev'],
      ['impersonate-group', 'ops'],
      ['impersonate-uid', '7'],
      ['impersonate-extra-scopes%2fa', 'x'],
    ]),
    { username: 'jo', uid: '7', groups: ['dev', 'ops', 'system:authenticated'], extra: { 'scopes/a': ['x'] } },
  );
  assert.deepEqual(await whoami([['impersonate-user', 'system:serviceaccount:ns:bob']]), {
    username: 'system:serviceaccount:ns:bob',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'],
  });
  const refused = await call('GET', '/api/v1/pods', { headers: [['impersonate-user', 'jo']] });
  assert.equal(
    refused.object['message'],
    'pods is forbidden: User "jo" cannot list resource "pods" in API group "" at the cluster scope',
  );
});

test('others need a rule for each part of the identity', async () => {
  await using scope = new Scope();
  const { call, whoami } = await start(scope);
  const jo = { user: 'jo', groups: ['system:authenticated'] };
  assert.deepEqual(await whoami([['impersonate-user', 'ann']], jo), {
    code: 403,
    message:
      'users "ann" is forbidden: User "jo" cannot impersonate resource "users" in API group "" at the cluster scope',
  });
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const rules = [{ apiGroups: [''], resources: ['users'], verbs: ['impersonate'], resourceNames: ['ann'] }];
  await call('POST', `${rbac}/clusterroles`, { body: { metadata: { name: 'as-ann' }, rules } });
  await call('POST', `${rbac}/clusterrolebindings`, {
    body: {
      metadata: { name: 'as-ann' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'as-ann' },
      subjects: [{ kind: 'User', name: 'jo' }],
    },
  });
  assert.deepEqual(await whoami([['impersonate-user', 'ann']], jo), {
    username: 'ann',
    groups: ['system:authenticated'],
  });
  assert.deepEqual(
    await whoami(
      [
        ['impersonate-user', 'ann'],
        ['impersonate-group', 'system:masters'],
      ],
      jo,
    ),
    {
      code: 403,
      message:
        'groups "system:masters" is forbidden: User "jo" cannot impersonate resource "groups" in API group "" at the cluster scope',
    },
  );
});

test('groups without a user are refused', async () => {
  await using scope = new Scope();
  const { send } = await start(scope);
  const response = await send('GET', '/api/v1/pods', { headers: [['impersonate-group', 'dev']] });
  assert.equal(response.status, 500);
  assert.match(
    Buffer.from(response.body as Uint8Array).toString(),
    /^Internal Server Error: "\/api\/v1\/pods": requested \[\{Group dev\}\] without impersonating a user\n$/,
  );
});
