/** A node of records: the real kubelet before a runtime without containers. Runs anywhere, in any number, on any clock. */
import { hollowCri } from '#hollow/cri.ts';
import { MemoryFiles } from '#hollow/memory-files.ts';
import { hollowReach } from '#hollow/reach.ts';
import type { Scripts } from '#hollow/script.ts';
import type { KubeClient } from '#kube-client/client.ts';
import type { Machine } from '#kubelet/node-status.ts';
import { startKubelet } from '#kubelet/start.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import type { HttpHandler } from '#transport/http.ts';
import { addressAt, formatAddress, parsePrefix } from '#wire/netlink/ip-address.ts';

export interface HollowNodeConfig {
  readonly nodeName: string;
  readonly podCidr: string;
  readonly nodeIp: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  readonly machine?: Machine;
  readonly version: string;
  readonly scripts: Scripts;
  /** Serves the kubelet's API on this port of `nodeIp`, for apiservers in other processes. PEM. */
  readonly kubeletServer?: {
    readonly port: number;
    readonly certificate: string;
    readonly key: string;
    readonly clientCa: string;
  };
}

export interface HollowNode extends AsyncDisposable {
  readonly kubelet: HttpHandler;
}

/** What a node says it is when nobody says otherwise. */
const hollowMachine: Machine = {
  cpus: 8,
  memoryBytes: 32 * 2 ** 30,
  ephemeralStorageBytes: 100 * 2 ** 30,
  architecture: 'amd64',
  kernelVersion: 'hollow',
  osImage: 'hollow',
  machineId: '',
  systemUuid: '',
  bootId: '',
};

/** Resolves when the node is registered. */
export async function startHollowNode(
  config: HollowNodeConfig,
  deps: {
    readonly clock: Clock;
    readonly prng: Prng;
    /** As `system:node:NAME`. */
    readonly client: KubeClient;
    readonly log: (message: string, error?: unknown) => void;
  },
): Promise<HollowNode> {
  const scope = new Scope();
  const { clock, prng, client, log } = deps;
  const range = parsePrefix(config.podCidr);
  const files = new MemoryFiles(clock);
  const { services, scriptsAt } = hollowCri({
    clock,
    prng,
    scripts: config.scripts,
    // The gateway has the first one, as on a real node.
    addressOf: (index) => formatAddress(addressAt(range, BigInt(1 + (index % (2 ** (32 - range.length) - 3)) + 1))!),
    appendLog: (path, line) => files.append(path, line),
  });
  const cri = scope.use(connectInMemory({ services, clock }));
  const kubelet = scope.use(
    await startKubelet({
      config: {
        nodeName: config.nodeName,
        nodeIp: config.nodeIp,
        podsMax: 110,
        machine: config.machine ?? hollowMachine,
        labels: { type: 'hollow' },
        podCidr: config.podCidr,
        version: config.version,
        port: config.kubeletServer?.port ?? 10_250,
        rootDir: '/var/lib/kubelet',
        logDir: '/var/log/pods',
        clusterDns: [config.clusterDns],
        clusterDomain: config.clusterDomain,
        hostDns: { servers: [], searches: [], options: [] },
        cgroupRoot: '/kubepods',
        ...(config.kubeletServer && { server: { host: config.nodeIp, ...config.kubeletServer } }),
      },
      deps: {
        clock,
        prng,
        cri,
        client,
        mounter: noMounts,
        files,
        reach: hollowReach(clock, scriptsAt),
        removePodCgroup: () => {},
        log,
      },
    }),
  );
  await kubelet.registered;
  return { kubelet: kubelet.handler, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

/** Memory volumes are folders here: nothing mounts. */
const noMounts = {
  async mountTmpfs(): Promise<void> {},
  async unmountAll(): Promise<void> {},
};
