/**
 * A kubelet on our container daemon and pod network, with an apiserver in memory and nothing else: pods are put on the node by name. Needs root; the
 * network it makes belongs into a namespace of the test's own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BridgeNetwork } from '#cni/bridge-network.ts';
import { type Containerd, startContainerd } from '#containerd/start.ts';
import { systemClock } from '#host/clock.ts';
import { hostNodeFiles } from '#host/node-files.ts';
import { systemPrng } from '#host/random.ts';
import { hostReach } from '#host/reachability.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { mount, unmount } from '#host-linux/mount.ts';
import { mountPointsUnder } from '#host-linux/mount-table.ts';
import { createKubeClient, type KubeClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { StatusError } from '#kube-machinery/status.ts';
import type { Pod, PodSpec } from '#kubelet/pod.ts';
import { type RunningKubelet, startKubelet } from '#kubelet/start.ts';
import { type CertificateAuthority, createAuthority } from '#pki/certificate-authority.ts';
import { Scope } from '#std/scope.ts';
import type { HttpHandler } from '#transport/http.ts';
import { parsePrefix } from '#wire/netlink/ip-address.ts';
import { startInMemoryApiserver } from './in-memory-apiserver.ts';

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };
const events = { group: '', version: 'v1', resource: 'events', kind: 'Event', namespaced: true };
const serviceAccounts = {
  group: '',
  version: 'v1',
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

export interface EventSeen extends ApiObject {
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly type: string;
  readonly involvedObject: { readonly name: string };
}

export class RealKubelet implements AsyncDisposable {
  readonly client: KubeClient;
  /** It reaches the kubelet on its port, as one on another machine. */
  readonly apiserver: HttpHandler;
  /** Of the kubelet and its clients. */
  readonly authority: CertificateAuthority;
  readonly containerd: Containerd;
  readonly nodeName = 'node-1';
  readonly folder: string;
  /** What every cgroup of its pods is below. */
  readonly cgroupRoot: string;
  kubelet: RunningKubelet;
  readonly #scope: Scope;
  readonly #start: () => Promise<RunningKubelet>;

  private constructor(parts: {
    readonly client: KubeClient;
    readonly apiserver: HttpHandler;
    readonly authority: CertificateAuthority;
    readonly containerd: Containerd;
    readonly folder: string;
    readonly cgroupRoot: string;
    readonly kubelet: RunningKubelet;
    readonly scope: Scope;
    readonly start: () => Promise<RunningKubelet>;
  }) {
    this.client = parts.client;
    this.apiserver = parts.apiserver;
    this.authority = parts.authority;
    this.containerd = parts.containerd;
    this.folder = parts.folder;
    this.cgroupRoot = parts.cgroupRoot;
    this.kubelet = parts.kubelet;
    this.#scope = parts.scope;
    this.#start = parts.start;
  }

  /** @param cpus of the node, as its pods may ask for them */
  static async start({ cpus = 4 }: { readonly cpus?: number } = {}): Promise<RealKubelet> {
    const scope = new Scope();
    const log = (message: string, error?: unknown) =>
      process.stderr.write(`${message}${error instanceof Error ? `: ${error.stack}` : ''}\n`);
    const folder = mkdtempSync(join(tmpdir(), 'wherry-kubelet-'));
    scope.defer(() => rmSync(folder, { recursive: true }));
    const clock = systemClock;
    const prng = systemPrng();
    const authority = await createAuthority({ commonName: 'kubernetes' }, { clock, prng });
    const asApiserver = await authority.issue({
      commonName: 'kube-apiserver-kubelet-client',
      organizations: ['system:masters'],
      usages: ['client'],
    });
    const kubeletClient = { ...asApiserver, ca: authority.certificate, addressTypes: ['InternalIP'] };
    const { server } = await startInMemoryApiserver(scope, undefined, clock, { kubeletClient });
    const clientOf = (user: string, groups: readonly string[]) =>
      createKubeClient({ fetch: server.handler, component: { user, groups }, clock, prng });
    const client = clientOf('admin', ['system:masters']);
    await client.resource(serviceAccounts, 'default').create({ metadata: { name: 'default' } });
    const helper = scope.use(new Zygote(findHelper()));
    const network = scope.use(
      await BridgeNetwork.open(
        {
          bridge: `wy-k${process.pid % 10_000}`,
          podRange: parsePrefix('10.79.0.0/24'),
          serviceRange: parsePrefix('10.80.0.0/24'),
          mtu: 1500,
          stateDir: `${folder}/addresses`,
        },
        helper,
      ),
    );
    scope.defer(() => network.remove());
    const cgroupRoot = `/wherry-kubelet-test-${process.pid}`;
    const containerd = scope.use(
      await startContainerd({
        config: {
          root: `${folder}/root`,
          state: `${folder}/state`,
          cgroupRoot,
          version: '2.3.4',
          arch: process.arch,
        },
        deps: { clock, prng, helper, network, warn: log },
      }),
    );
    scope.defer(async () => {
      await containerd.removeAll();
      for (const path of mountPointsUnder(folder).reverse()) unmount(path);
    });
    const own = await authority.issue({
      commonName: 'system:node:node-1',
      ipAddresses: [network.gateway],
      usages: ['server'],
    });
    const start = () =>
      startKubelet({
        config: {
          nodeName: 'node-1',
          nodeIp: network.gateway,
          podsMax: 20,
          machine: {
            cpus,
            memoryBytes: 4 * 2 ** 30,
            ephemeralStorageBytes: 10 * 2 ** 30,
            architecture: 'amd64',
            kernelVersion: 'test',
            osImage: 'test',
            machineId: '',
            systemUuid: '',
            bootId: '',
          },
          podCidr: '10.79.0.0/24',
          version: 'v1.36.3+wherry.test',
          port: 10_250,
          rootDir: `${folder}/kubelet`,
          logDir: `${folder}/pods-log`,
          clusterDns: ['10.80.0.10'],
          clusterDomain: 'cluster.local',
          hostDns: { servers: [], searches: [], options: [] },
          cgroupRoot: '/kubepods',
          server: { host: network.gateway, ...own, clientCa: authority.certificate },
        },
        deps: {
          clock,
          prng,
          cri: containerd.channel,
          client: clientOf('system:node:node-1', ['system:nodes', 'system:authenticated']),
          files: hostNodeFiles,
          reach: hostReach,
          mounter: {
            async mountTmpfs(path) {
              if (!mountPointsUnder(path).includes(path)) mount({ type: 'tmpfs', source: 'tmpfs', options: [] }, path);
            },
            async unmountAll(below) {
              for (const path of mountPointsUnder(below).reverse()) unmount(path);
            },
          },
          removePodCgroup: () => {},
          log,
        },
      });
    const kubelet = await start();
    await kubelet.registered;
    return new RealKubelet({
      client,
      apiserver: server.handler,
      authority,
      containerd,
      folder,
      cgroupRoot,
      kubelet,
      scope,
      start,
    });
  }

  /** Ends the kubelet and starts another; containers run on. */
  async restart(): Promise<void> {
    await this.kubelet[Symbol.asyncDispose]();
    this.kubelet = await this.#start();
  }

  /** Puts a pod on the node; by default without a token and with a short grace period. */
  async run(name: string, spec: Partial<PodSpec>, metadata: object = {}): Promise<Pod> {
    return this.client.resource<Pod & ApiObject>(pods, 'default').create({
      metadata: { name, ...metadata },
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        nodeName: this.nodeName,
        ...spec,
      },
    } as unknown as Pod & ApiObject);
  }

  async pod(name: string): Promise<Pod> {
    return this.client.resource<Pod & ApiObject>(pods, 'default').get(name);
  }

  /** Waits until the pod is so, and gives it. Rejects with what it was last. */
  async until(
    name: string,
    what: string,
    holds: (pod: Pod) => unknown | Promise<unknown>,
    timeoutMs = 20_000,
  ): Promise<Pod> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const pod = await this.pod(name);
      if (await holds(pod)) return pod;
      if (performance.now() > deadline)
        throw new Error(
          `${name}: not ${what} in time: ${JSON.stringify(pod.status)}\n${(await this.events(name)).map(({ reason, message }) => `${reason}: ${message}`).join('\n')}`,
        );
      await sleep(20);
    }
  }

  async events(name: string): Promise<readonly EventSeen[]> {
    const { items } = await this.client.resource<EventSeen>(events, 'default').list();
    return items.filter(({ involvedObject }) => involvedObject.name === name);
  }

  /** Deletes a pod and waits until it is gone. */
  async remove(name: string): Promise<void> {
    const resource = this.client.resource<Pod & ApiObject>(pods, 'default');
    try {
      await resource.delete(name, { gracePeriodSeconds: 1 });
      for (;;) {
        await resource.get(name);
        await sleep(20);
      }
    } catch (error) {
      if (!(error instanceof StatusError && error.code === 404)) throw error;
    }
  }

  /** What a container of the pod has said, without times. */
  async logs(name: string, container = 'c', query = ''): Promise<string> {
    const { status, body } = await this.ask('GET', `/containerLogs/default/${name}/${container}?${query}`);
    if (status !== 200) throw new Error(`${status} ${body}`);
    return body;
  }

  /** Asks the kubelet's API. */
  async ask(method: string, target: string): Promise<{ readonly status: number; readonly body: string }> {
    const { status, body } = await this.kubelet.handler({
      method,
      target,
      headers: [],
      authority: 'kubelet',
      protocol: 'HTTP/1.1',
      body: (async function* () {})(),
      peer: { address: 'in-memory', component: { user: 'admin', groups: ['system:masters'] } },
      signal: new AbortController().signal,
    });
    const chunks = body instanceof Uint8Array ? [body] : await Array.fromAsync(body);
    return { status, body: Buffer.concat(chunks).toString() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kubelet[Symbol.asyncDispose]();
    await this.#scope[Symbol.asyncDispose]();
  }
}
