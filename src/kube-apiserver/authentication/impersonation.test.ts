/** Acting as somebody else, with the rules of a real server. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import type { HttpRequest } from '#transport/http.ts';
import { createRbac } from '../authorization/rbac.ts';
import type { RequestContext } from '../pipeline.ts';
import { requestInfoOf } from '../request-info.ts';
import type { UserInfo } from '../user.ts';
import { impersonation } from './impersonation.ts';

const target = '/api/v1/namespaces/default/pods';

async function start(scope: Scope) {
  const { server } = await startInMemoryApiserver(scope);
  const stage = impersonation(scope.use(createRbac(server.reader)).authorize);
  return async (user: UserInfo, headers: readonly (readonly [string, string])[]) => {
    const request: HttpRequest = {
      method: 'GET',
      target,
      headers: [['accept', 'application/json'], ...headers],
      authority: 'test',
      protocol: 'HTTP/2.0',
      body: (async function* () {})(),
      peer: { address: 'in-memory' },
      signal: new AbortController().signal,
    };
    let seen: RequestContext | undefined;
    const response = await stage.run({ request, info: requestInfoOf('GET', target)!, user }, async (context) => {
      seen = context;
      return { status: 200, headers: [], body: Buffer.from('') };
    });
    return { seen, response };
  };
}

const root: UserInfo = { name: 'root', groups: ['system:masters', 'system:authenticated'] };

test('nobody is asked for: the request goes on as it came', async () => {
  await using scope = new Scope();
  const send = await start(scope);
  const { seen } = await send(root, []);
  assert.equal(seen?.user, root);
});

test('whoever may do everything becomes the user asked for and nothing more, and the headers end here', async () => {
  await using scope = new Scope();
  const send = await start(scope);
  const { seen } = await send(root, [
    ['Impersonate-User', 'ann'],
    ['Impersonate-Group', 'dev'],
    ['Impersonate-Group', 'ops'],
    ['Impersonate-Uid', '7'],
    ['Impersonate-Extra-Acme.com%2Fscope', 'view'],
    ['Impersonate-Extra-Acme.com%2Fscope', 'edit'],
  ]);
  assert.deepEqual(seen?.user, {
    name: 'ann',
    uid: '7',
    groups: ['dev', 'ops', 'system:authenticated'],
    extra: { 'acme.com/scope': ['view', 'edit'] },
  });
  assert.deepEqual(seen.request.headers, [['accept', 'application/json']]);
});

test('service accounts bring their groups, nobody is not authenticated', async () => {
  await using scope = new Scope();
  const send = await start(scope);
  const account = await send(root, [['impersonate-user', 'system:serviceaccount:default:robot']]);
  assert.deepEqual(account.seen?.user.groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:default',
    'system:authenticated',
  ]);
  const nobody = await send(root, [['impersonate-user', 'system:anonymous']]);
  assert.deepEqual(nobody.seen?.user.groups, ['system:unauthenticated']);
});

test('each name is a right of its own', async () => {
  await using scope = new Scope();
  const send = await start(scope);
  const ann: UserInfo = { name: 'ann', groups: ['system:authenticated'] };
  await assert.rejects(send(ann, [['impersonate-user', 'bob']]), {
    message:
      'users "bob" is forbidden: User "ann" cannot impersonate resource "users" in API group "" at the cluster scope',
  });
  await assert.rejects(send(ann, [['impersonate-user', 'system:serviceaccount:default:robot']]), {
    message:
      'serviceaccounts "robot" is forbidden: User "ann" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "default"',
  });
});

test('groups without a user are an error', async () => {
  await using scope = new Scope();
  const send = await start(scope);
  const { seen, response } = await send(root, [['impersonate-group', 'dev']]);
  assert.equal(seen, undefined);
  assert.equal(response.status, 500);
  assert.equal(
    Buffer.from(response.body as Uint8Array).toString(),
    `Internal Server Error: "${target}": requested [{Group  dev    }] without impersonating a user\n`,
  );
});
