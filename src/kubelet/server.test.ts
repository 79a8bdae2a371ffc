/** The kubelet's API on its port: who is let in, what they get, and the apiserver as its client in another process's place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#host/clock.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { createAuthority } from '#pki/certificate-authority.ts';
import { seededPrng } from '#std/prng.ts';
import { type HollowKubelet, withHollowKubelet } from '#testkit/hollow-kubelet.ts';
import type { Pod } from './pod.ts';

const limit = { timeout: 30_000 };
const core = (resource: string, kind: string) => ({ group: '', version: 'v1', resource, kind, namespaced: true });
const rbac = (resource: string, kind: string) => ({
  ...core(resource, kind),
  group: 'rbac.authorization.k8s.io',
  namespaced: false,
});

/** With one pod that runs. */
const withKubelet = (run: (kubelet: HollowKubelet) => Promise<void>) =>
  withHollowKubelet({}, async (kubelet) => {
    await kubelet.run('p');
    while ((await kubelet.pods.get('p')).status?.phase !== 'Running') await sleep(10);
    await run(kubelet);
  });

test('nobody is nobody: without a certificate or a token, or with one of another authority', limit, () =>
  withKubelet(async ({ ask }) => {
    const stranger = await createAuthority({ commonName: 'other' }, { clock: systemClock, prng: seededPrng(5) });
    const pair = await stranger.issue({ commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
    const refused = { status: 401, body: 'Unauthorized' };
    assert.deepEqual(await ask('/healthz'), refused);
    assert.deepEqual(await ask('/pods', { pair }), refused);
    assert.deepEqual(await ask('/pods', { token: 'nonsense' }), refused);
  }),
);

test('a certificate says who, the apiserver says whether', limit, () =>
  withKubelet(async ({ ask, authority }) => {
    const jane = await authority.issue({ commonName: 'jane', usages: ['client'] });
    assert.deepEqual(await ask('/pods', { pair: jane }), {
      status: 403,
      body: 'Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[pods proxy])\n',
    });
    const pair = await authority.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
    assert.deepEqual(await ask('/healthz', { pair }), { status: 200, body: 'ok' });
    const { items } = JSON.parse((await ask('/pods', { pair })).body) as { items: Pod[] };
    assert.deepEqual(
      items.map(({ metadata, status }) => [metadata.name, status?.phase]),
      [['p', 'Running']],
    );
    assert.match((await ask('/metrics', { pair })).body, /^kubelet_running_pods 1$/m);
    assert.equal((await ask('/containerLogs/default/p/c?tailLines=1', { pair })).body, 'two\n');
    assert.equal((await ask('/containerLogs/default/nope/c', { pair })).status, 404);
    assert.equal((await ask('/nothing', { pair })).status, 404);
    assert.equal((await ask('/pods', { pair, method: 'DELETE' })).status, 405);
  }),
);

test('a service account that may read metrics reads metrics, and no pods', limit, () =>
  withKubelet(async ({ ask, client }) => {
    const accounts = client.resource<ApiObject>(core('serviceaccounts', 'ServiceAccount'), 'default');
    await accounts.create({ metadata: { name: 'scraper' } });
    await client.resource<ApiObject>(rbac('clusterroles', 'ClusterRole')).create({
      metadata: { name: 'scraper' },
      rules: [{ apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] }],
    } as ApiObject);
    await client.resource<ApiObject>(rbac('clusterrolebindings', 'ClusterRoleBinding')).create({
      metadata: { name: 'scraper' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'scraper' },
      subjects: [{ kind: 'ServiceAccount', name: 'scraper', namespace: 'default' }],
    } as ApiObject);
    const { status } = await accounts.post<{ status: { token: string } }>('scraper', 'token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: { expirationSeconds: 3600 },
    });
    const { token } = status;
    // The role reaches the authorizer a moment after it is stored, and the kubelet remembers a refusal.
    const user = 'system:serviceaccount:default:scraper';
    const review = { verb: 'get', resource: 'nodes', subresource: 'metrics', name: 'n1' };
    for (let allowed: boolean | undefined; !allowed; )
      ({ allowed } = (
        await client
          .resource<ApiObject & { status?: { allowed?: boolean } }>({
            ...rbac('subjectaccessreviews', 'SubjectAccessReview'),
            group: 'authorization.k8s.io',
          })
          .create({ metadata: { name: '' }, spec: { user, resourceAttributes: review } } as ApiObject)
      ).status!);
    assert.equal((await ask('/metrics', { token })).status, 200);
    assert.deepEqual(await ask('/pods', { token }), {
      status: 403,
      body: 'Forbidden (user=system:serviceaccount:default:scraper, verb=get, resource=nodes, subresource(s)=[pods proxy])\n',
    });
  }),
);

test('the apiserver reaches a kubelet that is elsewhere by its node', limit, () =>
  withKubelet(async ({ call }) => {
    const response = await call('GET', '/api/v1/namespaces/default/pods/p/log');
    assert.equal(response.status, 200);
    const chunks = response.body instanceof Uint8Array ? [response.body] : await Array.fromAsync(response.body);
    assert.equal(Buffer.concat(chunks).toString(), 'one\ntwo\n');
    const missing = await call('GET', '/api/v1/namespaces/default/pods/p/log?container=nope');
    assert.equal(missing.status, 400);
  }),
);
