/** The kubelet's API on its port: who is let in, what they get, and the apiserver as its client in another process's place. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hollowCri } from '#hollow/cri.ts';
import { systemClock } from '#host/clock.ts';
import { createKubeClient, type KubeClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { type CertificateAuthority, createAuthority, type KeyPair } from '#pki/certificate-authority.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { freePort } from '#testkit/free-port.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { createFetch } from '#transport/fetch.ts';
import type { Pod } from './pod.ts';
import { startKubelet } from './start.ts';

const limit = { timeout: 30_000 };
const loopback = '127.0.0.1';
const core = (resource: string, kind: string) => ({ group: '', version: 'v1', resource, kind, namespaced: true });
const rbac = (resource: string, kind: string) => ({
  ...core(resource, kind),
  group: 'rbac.authorization.k8s.io',
  namespaced: false,
});

interface Setting {
  readonly client: KubeClient;
  readonly authority: CertificateAuthority;
  /** Asks the apiserver as its administrator. */
  readonly call: Awaited<ReturnType<typeof startInMemoryApiserver>>['send'];
  /** Asks the kubelet on its port. */
  ask(
    target: string,
    who?: { readonly pair?: KeyPair; readonly token?: string; readonly method?: string },
  ): Promise<{ readonly status: number; readonly body: string }>;
}

async function withKubelet(run: (setting: Setting) => Promise<void>): Promise<void> {
  await using scope = new Scope();
  const clock = systemClock;
  const prng = seededPrng(4);
  const folder = mkdtempSync(join(tmpdir(), 'kubelet-'));
  scope.defer(() => rmSync(folder, { recursive: true }));
  const authority = await createAuthority({ commonName: 'kubernetes' }, { clock, prng });
  const apiserverPair = await authority.issue({
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  const { server, send } = await startInMemoryApiserver(scope, undefined, clock, {
    kubeletClient: { ...apiserverPair, ca: authority.certificate, addressTypes: ['InternalIP'] },
  });
  const clientOf = (user: string, groups: readonly string[]) =>
    createKubeClient({ fetch: server.handler, component: { user, groups }, clock, prng });
  const client = clientOf('admin', ['system:masters']);
  await client.resource(core('serviceaccounts', 'ServiceAccount'), 'default').create({ metadata: { name: 'default' } });
  const services = hollowCri({
    clock,
    prng,
    scripts: () => ({ logs: ['one', 'two'] }),
    addressOf: (index) => `10.1.0.${index}`,
    appendLog(path, line) {
      mkdirSync(dirname(path), { recursive: true });
      appendFileSync(path, line);
    },
  });
  const port = await freePort();
  const own = await authority.issue({ commonName: 'system:node:n1', ipAddresses: [loopback], usages: ['server'] });
  const kubelet = scope.use(
    await startKubelet({
      config: {
        nodeName: 'n1',
        nodeIp: loopback,
        podsMax: 10,
        machine: {
          cpus: 2,
          memoryBytes: 2 ** 30,
          ephemeralStorageBytes: 2 ** 30,
          architecture: 'amd64',
          kernelVersion: '',
          osImage: '',
          machineId: '',
          systemUuid: '',
          bootId: '',
        },
        podCidr: '10.1.0.0/24',
        version: 'v1.36.3+wherry.test',
        port,
        rootDir: join(folder, 'kubelet'),
        logDir: join(folder, 'logs'),
        clusterDns: [],
        clusterDomain: 'cluster.local',
        hostDns: { servers: [], searches: [], options: [] },
        cgroupRoot: '/kubepods',
        server: { host: loopback, ...own, clientCa: authority.certificate },
      },
      deps: {
        clock,
        prng,
        cri: scope.use(connectInMemory({ services, clock })),
        client: clientOf('system:node:n1', ['system:nodes', 'system:authenticated']),
        mounter: { mountTmpfs: async () => {}, unmountAll: async () => {} },
        removePodCgroup: () => {},
        log: () => {},
      },
    }),
  );
  await kubelet.registered;
  const pods = client.resource<Pod & ApiObject>(core('pods', 'Pod'), 'default');
  await pods.create({
    metadata: { name: 'p', namespace: 'default', uid: '' },
    spec: { nodeName: 'n1', automountServiceAccountToken: false, containers: [{ name: 'c', image: 'i' }] },
  } as unknown as Pod & ApiObject);
  while ((await pods.get('p')).status?.phase !== 'Running') await sleep(10);
  await run({
    client,
    authority,
    call: send,
    async ask(target, { pair, token, method = 'GET' } = {}) {
      await using fetch = createFetch({
        address: `https://${loopback}:${port}`,
        tls: { ca: authority.certificate, ...(pair && { certificate: pair.certificate, key: pair.key }) },
      });
      const { status, body } = await fetch({
        method,
        target,
        headers: token === undefined ? [] : [['authorization', `Bearer ${token}`]],
        authority: loopback,
        protocol: 'HTTP/1.1',
        body: (async function* () {})(),
        peer: { address: 'test' },
        signal: AbortSignal.timeout(5000),
      });
      const chunks = body instanceof Uint8Array ? [body] : await Array.fromAsync(body);
      return { status, body: Buffer.concat(chunks).toString() };
    },
  });
}

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
