/** Grants beyond one's own rights: on a real server's reader and rules. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import { describeRules, missingRules } from './covers.ts';
import { rbacEscalation } from './escalation.ts';
import { createRbac } from './rbac.ts';

const group = 'rbac.authorization.k8s.io';
const rbacPath = `/apis/${group}/v1`;
const kindOf = {
  roles: 'Role',
  clusterroles: 'ClusterRole',
  rolebindings: 'RoleBinding',
  clusterrolebindings: 'ClusterRoleBinding',
};

async function start(scope: Scope) {
  const { server, call } = await startInMemoryApiserver(scope);
  const give = await call('POST', `${rbacPath}/namespaces/default/rolebindings`, {
    body: {
      apiVersion: `${group}/v1`,
      kind: 'RoleBinding',
      metadata: { name: 'ann-admin' },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'admin' },
      subjects: [{ apiGroup: group, kind: 'User', name: 'ann' }],
    },
  });
  assert.equal(give.code, 201, give.text);
  const rbac = scope.use(createRbac(server.reader));
  const plugin = rbacEscalation(server.reader, rbac);
  const ask = async (
    resource: keyof typeof kindOf,
    fields: object,
    more: Partial<AdmissionRequest> & { readonly old?: KubeObject } = {},
  ): Promise<{ readonly code: number; readonly message: string } | undefined> => {
    const { old, ...rest } = more;
    const namespace = resource.startsWith('cluster') ? '' : 'default';
    const object = {
      apiVersion: `${group}/v1`,
      kind: kindOf[resource],
      metadata: { name: 'x', ...(namespace && { namespace }) },
      ...fields,
    } as KubeObject;
    const request: AdmissionRequest = {
      operation: old === undefined ? 'CREATE' : 'UPDATE',
      resource: server.registry.findAny(group, resource)!.resource,
      subresource: '',
      namespace,
      name: 'x',
      object,
      oldObject: old,
      user: { name: 'ann', groups: ['dev', 'system:authenticated'] },
      dryRun: false,
      signal: new AbortController().signal,
      ...rest,
    };
    assert.ok(plugin.handles(request));
    try {
      await plugin.validate!(request);
      return undefined;
    } catch (error) {
      return error as { code: number; message: string };
    }
  };
  return { ask, call };
}

const bind = (name: string, kind = 'ClusterRole') => ({ roleRef: { apiGroup: group, kind, name }, subjects: [] });

test('whoever is admin of a namespace hands on what an admin has there, and nothing more', async () => {
  await using scope = new Scope();
  const { ask } = await start(scope);
  assert.equal(await ask('rolebindings', bind('edit')), undefined);
  assert.equal(await ask('roles', { rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }] }), undefined);
  const refused = await ask('rolebindings', bind('cluster-admin'));
  assert.equal(refused?.code, 403);
  assert.equal(
    refused.message,
    'rolebindings.rbac.authorization.k8s.io "x" is forbidden: user "ann" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
  );
  const wide = await ask('clusterrolebindings', bind('view'));
  assert.equal(wide?.code, 403, 'rights in one namespace are none in the cluster');
});

test('a role that is not there cannot be bound', async () => {
  await using scope = new Scope();
  const { ask } = await start(scope);
  const missing = await ask('rolebindings', bind('ghost', 'Role'));
  assert.equal(missing?.code, 404);
  assert.equal(missing.message, 'roles.rbac.authorization.k8s.io "ghost" not found');
});

test('`bind` and `escalate` are the ways around, for the role they name', async () => {
  await using scope = new Scope();
  const { ask, call } = await start(scope);
  const nodes = { rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['nodes'] }] };
  assert.match(
    (await ask('roles', nodes))!.message,
    /\n\{APIGroups:\[""\], Resources:\["nodes"\], Verbs:\["get" "list"\]\}$/,
  );
  const made = await call('POST', `${rbacPath}/clusterroles`, {
    body: {
      apiVersion: `${group}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'grantor' },
      rules: [
        { verbs: ['bind'], apiGroups: [group], resources: ['clusterroles'], resourceNames: ['system:node'] },
        { verbs: ['escalate'], apiGroups: [group], resources: ['roles'] },
      ],
    },
  });
  assert.equal(made.code, 201, made.text);
  const bound = await call('POST', `${rbacPath}/clusterrolebindings`, {
    body: {
      apiVersion: `${group}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'grantor' },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'grantor' },
      subjects: [{ apiGroup: group, kind: 'User', name: 'ann' }],
    },
  });
  assert.equal(bound.code, 201, bound.text);
  assert.equal(await ask('roles', nodes), undefined);
  assert.equal(await ask('clusterrolebindings', bind('system:node')), undefined);
  assert.equal((await ask('clusterrolebindings', bind('system:node-proxier')))?.code, 403);
});

test('an aggregated role needs everything; masters need nothing; owners may be cleared by anyone', async () => {
  await using scope = new Scope();
  const { ask } = await start(scope);
  const aggregated = { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }, rules: [] };
  assert.equal(
    (await ask('clusterroles', aggregated))?.message,
    'clusterroles.rbac.authorization.k8s.io "x" is forbidden: must have cluster-admin privileges to use the aggregationRule',
  );
  const masters = { name: 'root', groups: ['system:masters'] };
  assert.equal(await ask('clusterroles', aggregated, { user: masters }), undefined);
  const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }];
  const old = {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRole',
    metadata: { name: 'x', finalizers: ['foregroundDeletion'] },
    rules,
  } as KubeObject;
  assert.equal(await ask('clusterroles', { rules }, { old }), undefined);
  assert.equal((await ask('clusterroles', { rules: [...rules, ...rules] }, { old }))?.code, 403);
});

test('what covers what', () => {
  const rule = (verbs: string, resources: string, names?: string) => ({
    verbs: verbs.split(' '),
    apiGroups: [''],
    resources: resources.split(' '),
    ...(names && { resourceNames: names.split(' ') }),
  });
  const path = (url: string) => ({ verbs: ['get'], nonResourceURLs: [url] });
  const cases = [
    [rule('*', '*'), rule('get', 'pods/log'), true],
    [rule('get', '*/scale'), rule('get', 'deployments/scale'), true],
    [rule('get', '*/scale'), rule('get', 'deployments'), false],
    [rule('get', 'pods'), rule('get', 'pods/log'), false],
    [rule('get', 'pods'), rule('get', 'pods', 'a'), true],
    [rule('get', 'pods', 'a'), rule('get', 'pods'), false],
    [rule('get', 'pods', 'a b'), rule('get', 'pods', 'b'), true],
    [rule('get', 'pods'), rule('*', 'pods'), false],
    [path('/healthz/*'), path('/healthz/etcd'), true],
    [path('/healthz/*'), path('/healthz/sub/*'), true],
    [path('/healthz'), path('/healthz/*'), false],
    [rule('*', '*'), path('/healthz'), false],
  ] as const;
  for (const [owned, wanted, covered] of cases)
    assert.equal(missingRules([owned], [wanted]).length === 0, covered, describeRules([owned, wanted]));
});
