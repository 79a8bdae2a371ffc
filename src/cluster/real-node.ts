/** This machine as a node: container daemon, pod network, kubelet, service rules and cluster DNS, in this process. Needs root and Linux. */

import { startClusterDns } from '#cluster-dns/start.ts';
import { BridgeNetwork } from '#cni/bridge-network.ts';
import { askDns, serveDns } from '#host/dns-socket.ts';
import { hostNodeFiles } from '#host/node-files.ts';
import { hostReach } from '#host/reachability.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { mount, unmount } from '#host-linux/mount.ts';
import { mountPointsUnder } from '#host-linux/mount-table.ts';
import { NetlinkProtocol, openNetlink } from '#host-linux/netlink-socket.ts';
import type { KubeClient } from '#kube-client/client.ts';
import { removeServiceRules, startKubeProxy } from '#kube-proxy/start.ts';
import type { Machine } from '#kubelet/node-status.ts';
import type { DnsSettings } from '#kubelet/resolv-conf.ts';
import { startKubelet } from '#kubelet/start.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope, startInScope } from '#std/scope.ts';
import type { HttpHandler } from '#transport/http.ts';
import { parsePrefix } from '#wire/netlink/ip-address.ts';
import { type ContainerDaemon, startOwnDaemon } from './container-daemon.ts';
import { connectForeignDaemon } from './foreign-daemon.ts';
import { type Identity, identityOf } from './identities.ts';
import type { ClusterPaths } from './paths.ts';

export interface RealNodeConfig {
  readonly cluster: string;
  readonly nodeName: string;
  readonly paths: ClusterPaths;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  readonly hostDns: DnsSettings;
  readonly machine: Machine;
  readonly version: string;
  /** `unix:///run/containerd/containerd.sock`: somebody else's container daemon instead of ours. */
  readonly runtimeEndpoint?: string | undefined;
}

/** PEM: the kubelet's own, and the authority of its clients. */
export interface KubeletServer {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string;
}

export interface RealNodeDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string, error?: unknown) => void;
}

/** The part of a node that needs no API: it starts beside the control plane. */
export interface RealNode extends AsyncDisposable {
  readonly nodeIp: string;
  /**
   * Joins the cluster. Settles when the node is registered and serves.
   * @param server serves the kubelet's API on its port, for apiservers in other processes
   */
  join(client: (identity: Identity) => KubeClient, server?: KubeletServer): Promise<void>;
  /** The kubelet's API, once it has joined. */
  readonly kubelet: () => HttpHandler | undefined;
  /** Ends all pods, keeps images and data. */
  stopPods(graceMs: number): Promise<void>;
  /** Takes everything out of the kernel: containers, mounts, cgroups, links, rules. */
  removeAll(): Promise<void>;
}

const mtu = 1500;
export const kubeletPort = 10_250;
const dnsPort = 53;
const podsMax = 110;

export const bridgeOf = (cluster: string) => `wy-${cluster}`.slice(0, 15);
const tableOf = (cluster: string) => `wherry-${cluster}`;
export const cgroupOf = (cluster: string) => `/wherry-${cluster}`;

export function startRealNode(config: RealNodeConfig, deps: RealNodeDeps): Promise<RealNode> {
  return startInScope((scope) => start(config, deps, scope), deps.log);
}

async function start(config: RealNodeConfig, deps: RealNodeDeps, scope: Scope): Promise<RealNode> {
  const { clock, prng, log } = deps;
  const { paths, cluster } = config;
  const podRange = parsePrefix(config.podCidr);
  const serviceRange = parsePrefix(config.serviceCidr);
  const helper = scope.use(new Zygote(findHelper()));
  const network = scope.use(
    await BridgeNetwork.open(
      { bridge: bridgeOf(cluster), podRange, serviceRange, mtu, stateDir: paths.addresses },
      helper,
    ),
  );
  const cgroupRoot = cgroupOf(cluster);
  const daemon: ContainerDaemon = scope.use(
    config.runtimeEndpoint === undefined
      ? await startOwnDaemon({ paths, cgroupRoot }, { clock, prng, helper, network, log })
      : await connectForeignDaemon({ endpoint: config.runtimeEndpoint, cgroupRoot }, { clock }),
  );
  const netfilter = scope.use(openNetlink(NetlinkProtocol.netfilter));
  let kubelet: HttpHandler | undefined;
  /** What speaks to the API: it goes before the containers do, so that nothing is started again. */
  const joined = scope.use(new Scope());
  return {
    nodeIp: network.gateway,
    kubelet: () => kubelet,
    async join(client, server) {
      const running = joined.use(
        await startKubelet({
          config: {
            nodeName: config.nodeName,
            nodeIp: network.gateway,
            podsMax,
            machine: config.machine,
            podCidr: config.podCidr,
            version: config.version,
            port: kubeletPort,
            rootDir: paths.kubelet,
            logDir: paths.podLogs,
            clusterDns: [config.clusterDns],
            clusterDomain: config.clusterDomain,
            hostDns: config.hostDns,
            cgroupRoot: daemon.podCgroups,
            ...(server && { server: { host: network.gateway, ...server } }),
          },
          deps: {
            clock,
            prng,
            cri: daemon.channel,
            removePodCgroup: (path) => daemon.removePodCgroup(path),
            client: client(identityOf(`system:node:${config.nodeName}`)),
            mounter,
            files: hostNodeFiles,
            reach: hostReach,
            log,
          },
        }),
      );
      kubelet = running.handler;
      const proxy = joined.use(
        startKubeProxy({
          config: {
            nodeName: config.nodeName,
            table: tableOf(cluster),
            podRange,
            serviceRange,
            bridge: bridgeOf(cluster),
          },
          deps: { client: client(identityOf('system:kube-proxy')), clock, prng, netlink: netfilter, log },
        }),
      );
      const dns = joined.use(
        await startClusterDns({
          config: { domain: config.clusterDomain, upstream: config.hostDns.servers },
          deps: {
            client: client(identityOf('system:serviceaccount:kube-system:coredns')),
            clock,
            prng,
            listen: (answer) => serveDns({ address: network.gateway, port: dnsPort }, answer),
            forward: askDns,
            log,
          },
        }),
      );
      await Promise.all([running.registered, proxy.ready, dns.ready]);
    },
    async stopPods(graceMs) {
      await joined[Symbol.asyncDispose]();
      await daemon.stopAll({ graceMs });
    },
    async removeAll() {
      await daemon.removeAll();
      removeServiceRules(netfilter, tableOf(cluster));
      await network.remove();
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

const mounter = {
  async mountTmpfs(path: string, sizeBytes: bigint | undefined): Promise<void> {
    if (mountPointsUnder(path).includes(path)) return;
    mount({ type: 'tmpfs', source: 'tmpfs', options: sizeBytes === undefined ? [] : [`size=${sizeBytes}`] }, path);
  },
  async unmountAll(below: string): Promise<void> {
    for (const path of mountPointsUnder(below).reverse()) unmount(path);
  },
};
