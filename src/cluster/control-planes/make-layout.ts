/**
 * The layout of a cluster that is begun now. Ports are free ones, and none that another cluster of this user keeps for itself while it is stopped: peer
 * ports are in the log of etcd from then on, so a cluster cannot move to others.
 */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { listFolder } from '#host/files.ts';
import { parseRange } from '#kube-apiserver/service-ip/range.ts';
import { addressAt, formatAddress, parsePrefix } from '#wire/netlink/ip-address.ts';
import type { ClusterPaths } from '../paths.ts';
import { kubeletPort } from '../real-node.ts';
import type { ClusterConfig } from '../start-cluster.ts';
import { type ClusterLayout, LayoutError, readLayout } from './layout.ts';

/** Where control planes on one machine hear each other. */
export const loopback = '127.0.0.1';
const firstPeerPort = 2380;
const portsTriedMax = 200;

/** Names and ports for `count` control planes. @throws AddressError, RangeError for what is no range; Error when there are not enough free ports */
export async function makeLayout(
  { paths, port, podCidr, serviceCidr, clusterDomain, etcdServer, node }: ClusterConfig,
  count: number,
): Promise<ClusterLayout> {
  const real = node === 'real';
  const podRange = parsePrefix(podCidr);
  // As every apiserver will.
  parseRange(serviceCidr);
  const ports = await freePorts(count + 1, new Set([port, ...(await portsOfOthers(paths))]));
  return {
    controlPlanes: ports.slice(0, count).map((peerPort, i) => ({
      name: `cp-${i + 1}`,
      ...(etcdServer === undefined && { peerPort }),
    })),
    ...{ port, podCidr, serviceCidr, clusterDomain },
    nodeIp: real ? formatAddress(addressAt(podRange, 1n)!) : loopback,
    kubeletPort: real ? kubeletPort : ports[count]!,
    ...(etcdServer !== undefined && { etcdServers: etcdServer }),
  };
}

/** Whether they run or not. Clusters that were given a data folder elsewhere are not known. */
async function portsOfOthers({ share }: ClusterPaths): Promise<number[]> {
  const ports: number[] = [];
  for (const name of await listFolder(share)) {
    const layout = await readLayout({ data: join(share, name) }).catch((error: unknown) => {
      // One whose layout cannot be read does not start as it is, and is told so then.
      if (!(error instanceof LayoutError)) throw error;
      return undefined;
    });
    if (layout === undefined) continue;
    ports.push(layout.port, layout.kubeletPort);
    for (const { peerPort } of layout.controlPlanes) if (peerPort !== undefined) ports.push(peerPort);
  }
  return ports;
}

/** Below the ports that the system hands out by itself, from etcd's on. */
async function freePorts(count: number, taken: ReadonlySet<number>): Promise<number[]> {
  const found: number[] = [];
  for (let port = firstPeerPort; found.length < count && port < firstPeerPort + portsTriedMax; port++) {
    if (taken.has(port)) continue;
    try {
      await checkFree(loopback, port);
      found.push(port);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
  if (found.length < count) throw new Error(`no ${count} free ports from ${firstPeerPort} on`);
  return found;
}

/** @throws Error EADDRINUSE */
export async function checkFree(host: string, port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
