/**
 * `wherry up` as a function: certificates, control plane, this machine as a node, the kubeconfig. What can start at the same time does. Disposing
 * stops the cluster and its containers and keeps the data.
 */
import { makeFolder, readIfThere, removeTree, replaceFile } from '#host/files.ts';
import { parseResolvConf } from '#kubelet/resolv-conf.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { type Scope, startInScope } from '#std/scope.ts';
import { type Listener, listen } from '#transport/listen.ts';
import { addressAt, formatAddress, parsePrefix } from '#wire/netlink/ip-address.ts';
import { ensureDnsService } from './addons.ts';
import { ensureCertificates } from './certificates.ts';
import { controlHandler } from './control.ts';
import { startControlPlane } from './control-plane.ts';
import { type HollowNode, startHollowNode } from './hollow-node.ts';
import { administrator, identityOf } from './identities.ts';
import { type KubeconfigEntry, kubeconfigText, mergeKubeconfig } from './kubeconfig.ts';
import { thisMachine } from './machine.ts';
import type { ClusterPaths } from './paths.ts';
import { type RealNode, startRealNode } from './real-node.ts';
import { waitForReady } from './wait-for-ready.ts';

export interface ClusterConfig {
  readonly name: string;
  readonly nodeName: string;
  readonly paths: ClusterPaths;
  /** 0: any free port. */
  readonly port: number;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  readonly node: 'real' | 'hollow' | 'none';
  readonly etcdServer?: string | undefined;
  /** A real node's container daemon, instead of ours: `unix:///run/containerd/containerd.sock`. */
  readonly runtimeEndpoint?: string | undefined;
  /** Merged with this cluster's context; undefined: left alone. */
  readonly kubeconfig: string | undefined;
  readonly version: string;
  /** How long to wait for the node to be Ready. */
  readonly waitMs: number;
}

export interface ClusterDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  /** Told when a part is up. */
  readonly phase: (name: string) => void;
  readonly log: (message: string, error?: unknown) => void;
  /** Aborts when nobody wants the cluster any more: a start that waits gives up, takes back what it has begun, and fails with the reason. */
  readonly signal?: AbortSignal;
}

export interface Cluster {
  readonly context: string;
  readonly server: string;
  /** Ends the pods, then everything; data stays. */
  stop(): Promise<void>;
  /** As after a crash: everything closes, containers run on. */
  abandon(): Promise<void>;
  /** Settles when somebody asked the cluster to stop. */
  readonly stopAsked: Promise<void>;
  /** Settles with the reason when the store can write no more: nothing can go on, but containers run. */
  readonly storeFailed: Promise<unknown>;
}

const loopback = '127.0.0.1';
const stopGraceMs = 5000;

export function startCluster(config: ClusterConfig, deps: ClusterDeps): Promise<Cluster> {
  return startInScope((scope) => start(config, deps, scope), deps.log);
}

async function start(config: ClusterConfig, deps: ClusterDeps, scope: Scope): Promise<Cluster> {
  const { clock, prng, log, phase, signal } = deps;
  const { paths } = config;
  await Promise.all([makeFolder(paths.data, 0o700), makeFolder(paths.run, 0o700)]);
  const serviceRange = parsePrefix(config.serviceCidr);
  const clusterDns = formatAddress(addressAt(serviceRange, 10n)!);
  const nodeIp = config.node === 'real' ? formatAddress(addressAt(parsePrefix(config.podCidr), 1n)!) : loopback;

  // The node's own parts need no API; certificates need no node.
  const nodeStarting: Promise<RealNode | undefined> =
    config.node === 'real' ? startNode(config, deps, clusterDns) : Promise.resolve(undefined);
  nodeStarting.catch(() => {});
  scope.defer(async () => {
    const node = await nodeStarting.catch(() => undefined);
    await node?.[Symbol.asyncDispose]();
  });
  const certificates = await ensureCertificates(
    {
      folder: paths.pki,
      ipAddresses: [...new Set([loopback, nodeIp, formatAddress(addressAt(serviceRange, 1n)!)])],
      dnsNames: apiserverDnsNames(config),
    },
    deps,
  );
  phase('certificates');

  let running: RealNode | undefined;
  let hollow: HollowNode | undefined;
  const control = await startControlPlane(
    {
      etcdServer: config.etcdServer,
      etcdDir: paths.etcd,
      externalAddress: `${loopback}:${config.port}`,
      advertiseAddress: nodeIp,
      advertisePort: config.port,
      serviceClusterIpRange: config.serviceCidr,
      clusterDomain: config.clusterDomain,
      version: config.version,
      ca: certificates.ca,
      serviceAccountKey: certificates.serviceAccountKey,
    },
    {
      ...deps,
      dialKubelet: (name) => (name === config.nodeName ? (running?.kubelet() ?? hollow?.kubelet) : undefined),
    },
  );
  scope.use(control);
  running = await nodeStarting;
  const tls = { ...certificates.apiserver, clientCa: certificates.ca };
  const listenAt = async (host: string): Promise<Listener> =>
    scope.use(await listen({ address: { host, port: config.port }, tls, handler: control.apiserver.handler }));
  await Promise.all([...new Set([loopback, nodeIp])].map(listenAt));

  const entry: KubeconfigEntry = {
    name: `wherry-${config.name}`,
    server: `https://${loopback}:${config.port}`,
    ca: certificates.ca,
    certificate: certificates.admin.certificate,
    key: certificates.admin.key,
  };
  if (running !== undefined) {
    const admin = control.client(administrator);
    await Promise.all([
      ensureDnsService(admin, { clusterIp: clusterDns, serverIp: nodeIp, port: 53 }),
      running.join(control.client),
    ]);
    phase('node');
    await waitForReady(admin, config.nodeName, { clock, timeoutMs: config.waitMs, signal });
  }
  if (config.node === 'hollow') {
    hollow = scope.use(
      await startHollowNode(
        {
          nodeName: config.nodeName,
          podCidr: config.podCidr,
          nodeIp,
          clusterDns,
          clusterDomain: config.clusterDomain,
          version: config.version,
          scripts: () => undefined,
        },
        { clock, prng, client: control.client(identityOf(`system:node:${config.nodeName}`)), log },
      ),
    );
    phase('hollow node');
    await waitForReady(control.client(administrator), config.nodeName, { clock, timeoutMs: config.waitMs, signal });
  }
  const stopAsked = Promise.withResolvers<void>();
  const socket = `${paths.run}/control.sock`;
  await removeTree(socket);
  scope.use(
    await listen({
      address: { path: socket },
      handler: controlHandler({ control, node: running, stop: () => stopAsked.resolve(), log }),
    }),
  );
  await publish(config, entry, socket, scope);
  phase('ready');
  return {
    context: entry.name,
    server: entry.server,
    stopAsked: stopAsked.promise,
    storeFailed: control.storeFailed,
    async stop() {
      await running?.stopPods(stopGraceMs);
      await scope[Symbol.asyncDispose]();
    },
    abandon: () => scope[Symbol.asyncDispose](),
  };
}

/** Names that clients may reach an apiserver by. */
export function apiserverDnsNames({ clusterDomain, nodeName }: ClusterConfig): string[] {
  const service = 'kubernetes.default.svc';
  return ['localhost', 'kubernetes', 'kubernetes.default', service, `${service}.${clusterDomain}`, nodeName];
}

/** Tells users and their tools where the cluster is: kubeconfig files, and the file that goes when `scope` closes. */
export async function publish(
  { paths, kubeconfig, name, version, node }: ClusterConfig,
  entry: KubeconfigEntry,
  socket: string,
  scope: Scope,
): Promise<void> {
  await replaceFile(paths.adminKubeconfig, kubeconfigText(entry), { mode: 0o600 });
  if (kubeconfig !== undefined) await mergeKubeconfig(kubeconfig, entry);
  const state = { pid: process.pid, name, server: entry.server, socket, version, node };
  await replaceFile(paths.stateFile, JSON.stringify(state), { durable: false });
  scope.defer(() => removeTree(paths.stateFile));
}

/** Starts the part of this machine's node that needs no API. */
export async function startNode(config: ClusterConfig, deps: ClusterDeps, clusterDns: string): Promise<RealNode> {
  const { paths } = config;
  const [machine, resolvConf] = await Promise.all([thisMachine(paths.data), readIfThere('/etc/resolv.conf')]);
  return startRealNode(
    {
      cluster: config.name,
      nodeName: config.nodeName,
      paths,
      podCidr: config.podCidr,
      serviceCidr: config.serviceCidr,
      clusterDns,
      clusterDomain: config.clusterDomain,
      hostDns: parseResolvConf(resolvConf?.toString('utf8') ?? ''),
      machine,
      version: config.version,
      runtimeEndpoint: config.runtimeEndpoint,
    },
    deps,
  );
}
