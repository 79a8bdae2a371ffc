/**
 * A kubelet on a runtime of records, serving its API on a port of loopback, and an apiserver in memory that reaches it there. Runs anywhere, on the
 * system's clock.
 */
import { hollowCri } from '#hollow/cri.ts';
import { MemoryFiles } from '#hollow/memory-files.ts';
import { hollowReach } from '#hollow/reach.ts';
import type { Scripts } from '#hollow/script.ts';
import { systemClock } from '#host/clock.ts';
import { createKubeClient, type KubeClient, type ResourceClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import type { Pod } from '#kubelet/pod.ts';
import { startKubelet } from '#kubelet/start.ts';
import { type CertificateAuthority, createAuthority, type KeyPair } from '#pki/certificate-authority.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { createFetch } from '#transport/fetch.ts';
import { freePort } from './free-port.ts';
import { startInMemoryApiserver } from './in-memory-apiserver.ts';

const loopback = '127.0.0.1';
const core = (resource: string, kind: string) => ({ group: '', version: 'v1', resource, kind, namespaced: true });

export interface HollowKubelet {
  readonly client: KubeClient;
  readonly pods: ResourceClient<Pod & ApiObject>;
  /** Puts a pod of one container on the node. */
  run(name: string, spec?: object): Promise<void>;
  readonly authority: CertificateAuthority;
  /** Asks the apiserver as its administrator. */
  readonly call: Awaited<ReturnType<typeof startInMemoryApiserver>>['send'];
  /** Asks the kubelet on its port. */
  ask(
    target: string,
    who?: { readonly pair?: KeyPair; readonly token?: string; readonly method?: string },
  ): Promise<{ readonly status: number; readonly body: string }>;
}

export interface HollowKubeletOptions {
  /** What containers do, by image. By default they log two lines and run for ever. */
  readonly scripts?: Scripts;
  /** False: a runtime that has no GetContainerEvents. */
  readonly events?: boolean;
}

export async function withHollowKubelet(
  { scripts = () => ({ logs: ['one', 'two'] }), events = true }: HollowKubeletOptions,
  run: (kubelet: HollowKubelet) => Promise<void>,
): Promise<void> {
  await using scope = new Scope();
  const clock = systemClock;
  const prng = seededPrng(4);
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
  const files = new MemoryFiles(clock);
  const { services, scriptsAt } = hollowCri({
    clock,
    prng,
    scripts,
    addressOf: (index) => `10.1.0.${index}`,
    appendLog: (path, line) => files.append(path, line),
  });
  const given = events
    ? services
    : services.map((bound) => ({ ...bound, handlers: { ...bound.handlers, getContainerEvents: undefined } }));
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
        rootDir: '/var/lib/kubelet',
        logDir: '/var/log/pods',
        clusterDns: [],
        clusterDomain: 'cluster.local',
        hostDns: { servers: [], searches: [], options: [] },
        cgroupRoot: '/kubepods',
        server: { host: loopback, ...own, clientCa: authority.certificate },
      },
      deps: {
        clock,
        prng,
        cri: scope.use(connectInMemory({ services: given as typeof services, clock })),
        client: clientOf('system:node:n1', ['system:nodes', 'system:authenticated']),
        mounter: { mountTmpfs: async () => {}, unmountAll: async () => {} },
        files,
        reach: hollowReach(clock, scriptsAt),
        removePodCgroup: () => {},
        log: () => {},
      },
    }),
  );
  await kubelet.registered;
  const pods = client.resource<Pod & ApiObject>(core('pods', 'Pod'), 'default');
  await run({
    client,
    pods,
    async run(name, spec) {
      await pods.create({
        metadata: { name, namespace: 'default', uid: '' },
        spec: { nodeName: 'n1', automountServiceAccountToken: false, containers: [{ name: 'c', image: 'i' }], ...spec },
      } as unknown as Pod & ApiObject);
    },
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
