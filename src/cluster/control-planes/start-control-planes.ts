/**
 * `wherry up --control-planes N` as a function: certificates, N control planes as processes of their own, and in this process the machine as a node, a
 * client of their API like any other. Control planes that live already are taken as they are. Disposing ends all of it and keeps the data.
 */
import { makeFolder, removeTree } from '#host/files.ts';
import { lockFile } from '#host/lock-file.ts';
import type { KubeClient } from '#kube-client/client.ts';
import type { KeyPair } from '#pki/certificate-authority.ts';
import { type Scope, startInScope } from '#std/scope.ts';
import { listen } from '#transport/listen.ts';
import { addressAt, formatAddress, parsePrefix } from '#wire/netlink/ip-address.ts';
import { ensureDnsService } from '../addons.ts';
import { ensureCertificates } from '../certificates.ts';
import { answerJson } from '../control.ts';
import { startHollowNode } from '../hollow-node.ts';
import { administrator, type Identity, identityOf } from '../identities.ts';
import type { RealNode } from '../real-node.ts';
import {
  apiserverDnsNames,
  type Cluster,
  type ClusterConfig,
  type ClusterDeps,
  publish,
  startNode,
} from '../start-cluster.ts';
import { waitForReady } from '../wait-for-ready.ts';
import { ensureComponentCertificates, ensurePeerCertificates } from './component-certificates.ts';
import { readLayout, writeLayout } from './layout.ts';
import { checkFree, loopback, makeLayout } from './make-layout.ts';
import { nodeClients } from './node-clients.ts';
import { livePlanes, type PlaneProcesses, startPlanes, stopPlanes } from './processes.ts';

export interface ControlPlanesConfig extends ClusterConfig {
  /** How many, where none are yet. */
  readonly controlPlanes: number;
  /** As {@link PlaneProcesses.serverCommand}. */
  readonly serverCommand: readonly string[];
}

const podGraceMs = 5000;
const stopGraceMs = 15_000;

export function startControlPlanes(config: ControlPlanesConfig, deps: ClusterDeps): Promise<Cluster> {
  return startInScope((scope) => start(config, deps, scope), deps.log);
}

async function start(config: ControlPlanesConfig, deps: ClusterDeps, scope: Scope): Promise<Cluster> {
  const { clock, prng, log, phase, signal } = deps;
  const { paths, name, nodeName } = config;
  await Promise.all([makeFolder(paths.data, 0o700), makeFolder(paths.run, 0o700)]);
  scope.use(await lockFile(`${paths.run}/up.lock`));
  const known = await readLayout(paths);
  const layout = known ?? (await makeLayout(config, config.controlPlanes));
  const { nodeIp } = layout;
  const serviceRange = parsePrefix(layout.serviceCidr);
  const clusterDns = formatAddress(addressAt(serviceRange, 10n)!);
  const live = await livePlanes(paths, layout);
  // The port is shared by whoever says so: another cluster's must not be mistaken for ours.
  if (live.length === 0) await checkFree(loopback, layout.port);

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
  const names = layout.controlPlanes.map((plane) => plane.name);
  const [components] = await Promise.all([
    ensureComponentCertificates({ folder: paths.pki, nodeName, nodeIp }, deps),
    layout.etcdServers === undefined && ensurePeerCertificates(paths.pki, names, deps),
  ]);
  phase('certificates');

  // The node's address must be there before anybody listens on it.
  const real = await nodeStarting;
  const processes: PlaneProcesses = { clusterName: name, paths, layout, serverCommand: config.serverCommand, clock };
  const missing = names.filter((plane) => !live.some((one) => one.name === plane));
  const stopAll = () => stopPlanes(paths, layout, { clock, graceMs: stopGraceMs });
  let isUp = false;
  // What this start has begun, its failure ends; what ran before it, runs on.
  if (live.length === 0)
    scope.defer(async () => {
      if (!isUp) await stopAll();
    });
  // From here on the cluster has what it was asked for with. Before, nobody is held to a port that was taken, or to a range that is none.
  if (known === undefined) await writeLayout(paths, layout);
  await startPlanes(processes, missing, { timeoutMs: config.waitMs, signal });
  for (const plane of live) phase(`control plane ${plane.name} (pid ${plane.pid}) taken over`);
  if (missing.length > 0) phase(`control planes ${missing.join(', ')}`);

  const server = `https://${loopback}:${layout.port}`;
  const clients = scope.use(
    nodeClients(
      {
        server,
        ca: certificates.ca,
        pairs: new Map<string, KeyPair>([
          [administrator.user, certificates.admin],
          [`system:node:${nodeName}`, components.kubelet],
          ['system:kube-proxy', components.kubeProxy],
          ['system:serviceaccount:kube-system:coredns', components.dns],
        ]),
      },
      { clock, prng },
    ),
  );
  const client = (identity: Identity): KubeClient => clients.client(identity);
  let hollow: AsyncDisposable | undefined;
  const kubeletServer = { ...components.kubelet, clientCa: certificates.ca };
  if (real !== undefined) {
    const admin = client(administrator);
    await Promise.all([
      ensureDnsService(admin, { clusterIp: clusterDns, serverIp: nodeIp, port: 53 }),
      real.join(client, kubeletServer),
    ]);
    phase('node');
    await waitForReady(admin, nodeName, { clock, timeoutMs: config.waitMs, signal });
  } else if (config.node === 'hollow') {
    const { podCidr, clusterDomain } = layout;
    hollow = scope.use(
      await startHollowNode(
        {
          ...{ nodeName, podCidr, nodeIp, clusterDns, clusterDomain, version: config.version },
          scripts: () => undefined,
          kubeletServer: { port: layout.kubeletPort, ...kubeletServer },
        },
        { clock, prng, client: client(identityOf(`system:node:${nodeName}`)), log },
      ),
    );
    phase('hollow node');
    await waitForReady(client(administrator), nodeName, { clock, timeoutMs: config.waitMs, signal });
  }
  const stopAsked = Promise.withResolvers<void>();
  const socket = `${paths.run}/control.sock`;
  await removeTree(socket);
  scope.use(
    await listen({
      address: { path: socket },
      handler: answerJson(log, async (method, [verb]) => {
        if (method !== 'POST' || verb !== 'stop') return undefined;
        stopAsked.resolve();
        return { status: 202, value: {} };
      }),
    }),
  );
  const entry = {
    name: `wherry-${name}`,
    server,
    ca: certificates.ca,
    certificate: certificates.admin.certificate,
    key: certificates.admin.key,
  };
  await publish(config, entry, socket, scope);
  isUp = true;
  phase('ready');
  return {
    context: entry.name,
    server,
    stopAsked: stopAsked.promise,
    // Their stores are theirs: one that fails ends with its process.
    storeFailed: new Promise(() => {}),
    async stop() {
      await real?.stopPods(podGraceMs);
      await hollow?.[Symbol.asyncDispose]();
      await stopAll();
      await scope[Symbol.asyncDispose]();
    },
    abandon: () => scope[Symbol.asyncDispose](),
  };
}
