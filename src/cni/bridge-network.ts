/**
 * The pod network of one node: a bridge, a pair of interfaces and an address for each pod. A pod knows only its gateway: even its neighbours
 * are reached through the node, so that service rules and policies see every packet. Fits the container daemon's `PodNetwork`.
 */
import { closeSync, openSync } from 'node:fs';
import { removeTree } from '#host/files.ts';
import type { Zygote } from '#host-linux/helper/zygote.ts';
import {
  Errno,
  type Netlink,
  NetlinkError,
  NetlinkProtocol,
  openNetlink,
  openNetlinkIn,
} from '#host-linux/netlink-socket.ts';
import { setSysctl } from '#host-linux/sysctl.ts';
import { addressAt, formatAddress, type Prefix, parseAddress } from '#wire/netlink/ip-address.ts';
import {
  addAddress,
  addRoute,
  createBridge,
  createVeth,
  decodeLink,
  deleteLink,
  dumpLinks,
  getLink,
  type Link,
  RouteScope,
  setHairpin,
  setLinkUp,
} from '#wire/netlink/route.ts';
import { AddressPool } from './address-pool.ts';

export interface BridgeNetworkConfig {
  /** Up to 15 characters. */
  readonly bridge: string;
  /** The node's pods; its first address is the gateway and the node's own address. */
  readonly podRange: Prefix;
  /** Goes to the bridge, never to the default gateway: a service without rules leads nowhere. */
  readonly serviceRange: Prefix;
  readonly mtu: number;
  /** Where addresses are remembered. */
  readonly stateDir: string;
}

export interface PodIdentity {
  /** The sandbox's id. */
  readonly id: string;
}

const hostBits = 32;
/** Interface names may be 15 characters long. */
const vethPrefix = 'veth';
const vethIdLength = 11;

export class BridgeNetwork implements Disposable {
  readonly #config: BridgeNetworkConfig;
  readonly #helper: Zygote;
  readonly #netlink: Netlink;
  readonly #pool: AddressPool;
  readonly #bridge: Link;
  /** The bridge's address: gateway of all pods. */
  readonly gateway: string;

  private constructor(
    config: BridgeNetworkConfig,
    helper: Zygote,
    netlink: Netlink,
    pool: AddressPool,
    bridge: Link,
    gateway: string,
  ) {
    this.#config = config;
    this.#helper = helper;
    this.#netlink = netlink;
    this.#pool = pool;
    this.#bridge = bridge;
    this.gateway = gateway;
  }

  /** Makes the bridge, or takes over the one that stands. @throws NetlinkError */
  static async open(config: BridgeNetworkConfig, helper: Zygote): Promise<BridgeNetwork> {
    const pool = await AddressPool.open(`${config.stateDir}/${config.bridge}`, config.podRange);
    const netlink = openNetlink(NetlinkProtocol.route);
    try {
      const gateway = addressAt(config.podRange, 1n)!;
      const bridge = ensureBridge(netlink, config);
      netlink.request(addAddress(bridge.index, gateway, config.podRange.length), `address of ${config.bridge}`);
      netlink.request(setLinkUp(bridge.index), `raise ${config.bridge}`);
      netlink.request(
        addRoute({ destination: config.serviceRange, linkIndex: bridge.index, scope: RouteScope.link }),
        'route of the service range',
      );
      setSysctl('net/ipv4/ip_forward', '1');
      // Pods are right to ask the gateway for their neighbours: no redirects.
      setSysctl(`net/ipv4/conf/${config.bridge}/send_redirects`, '0');
      setSysctl('net/ipv4/conf/all/send_redirects', '0');
      return new BridgeNetwork(config, helper, netlink, pool, bridge, formatAddress(gateway));
    } catch (error) {
      netlink[Symbol.dispose]();
      throw error;
    }
  }

  async status(): Promise<{ readonly ready: boolean; readonly reason: string; readonly message: string }> {
    return { ready: true, reason: '', message: '' };
  }

  /** Connects the namespace pinned at `netns`. Done twice, it is done once. An error leaves no trace. */
  async setup(netns: string, pod: PodIdentity): Promise<{ readonly ips: readonly string[] }> {
    const ip = await this.#pool.take(pod.id);
    try {
      const address = parseAddress(ip);
      this.#connect(netns, pod, address);
      await this.#configure(netns, address);
      return { ips: [ip] };
    } catch (error) {
      await this.teardown(netns, pod);
      throw error;
    }
  }

  /** Works when the namespace is gone, and when nothing was there. */
  async teardown(_netns: string, pod: PodIdentity): Promise<void> {
    this.#delete(vethName(pod));
    await this.#pool.release(pod.id);
  }

  /** Takes from all pods but these what an earlier daemon gave them and could not take back. */
  async keepOnly(ids: ReadonlySet<string>): Promise<void> {
    for (const id of this.#pool.owners()) if (!ids.has(id)) await this.teardown('', { id });
  }

  /** Takes the bridge away, with every pod's interface that still hangs on it. */
  async remove(): Promise<void> {
    for (const body of this.#netlink.request(dumpLinks(), 'list links')) {
      const link = decodeLink(body);
      if (link.master === this.#bridge.index) this.#delete(link.name);
    }
    this.#delete(this.#config.bridge);
    await removeTree(`${this.#config.stateDir}/${this.#config.bridge}`);
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }

  /** Both ends at once, the pod's born in its namespace. */
  #connect(netns: string, pod: PodIdentity, address: Buffer): void {
    const name = vethName(pod);
    const fd = openSync(netns, 'r');
    try {
      const veth = createVeth({
        name,
        peerName: 'eth0',
        peerNetnsFd: fd,
        mtu: this.#config.mtu,
        master: this.#bridge.index,
        // An address that follows from the IP survives caches of neighbours.
        peerHardwareAddress: Buffer.from([0x0a, 0x58, ...address]),
      });
      try {
        this.#netlink.request(veth, `create ${name}`);
      } catch (error) {
        if (!(error instanceof NetlinkError && error.errno === Errno.exists)) throw error;
        this.#delete(name);
        this.#netlink.request(veth, `create ${name}`);
      }
    } finally {
      closeSync(fd);
    }
    const [link] = this.#netlink.request(getLink(name), `find ${name}`).map(decodeLink);
    this.#netlink.request(setHairpin(link!.index), `hairpin on ${name}`);
  }

  /** What is done inside the pod's namespace, by a socket that belongs there. */
  async #configure(netns: string, address: Buffer): Promise<void> {
    using inside = await openNetlinkIn(this.#helper, netns, NetlinkProtocol.route);
    const links = new Map(
      inside.request(dumpLinks(), 'list links of the pod').map((body) => {
        const link = decodeLink(body);
        return [link.name, link.index] as const;
      }),
    );
    const loopback = links.get('lo');
    if (loopback !== undefined) inside.request(setLinkUp(loopback), 'raise lo');
    const eth0 = links.get('eth0');
    if (eth0 === undefined) throw new Error(`eth0 is not in ${netns}`);
    const gateway = addressAt(this.#config.podRange, 1n)!;
    inside.request(addAddress(eth0, address, hostBits), 'address of the pod');
    inside.request(setLinkUp(eth0), 'raise eth0');
    inside.request(
      addRoute({ destination: { address: gateway, length: hostBits }, linkIndex: eth0, scope: RouteScope.link }),
      'route to the gateway',
    );
    inside.request(
      addRoute({ destination: undefined, linkIndex: eth0, gateway, scope: RouteScope.universe }),
      'default route of the pod',
    );
  }

  #delete(name: string): void {
    try {
      this.#netlink.request(deleteLink(name), `delete ${name}`);
    } catch (error) {
      if (!(error instanceof NetlinkError && error.errno === Errno.noDevice)) throw error;
    }
  }
}

function ensureBridge(netlink: Netlink, { bridge, mtu }: BridgeNetworkConfig): Link {
  try {
    netlink.request(createBridge(bridge, mtu), `create ${bridge}`);
  } catch (error) {
    if (!(error instanceof NetlinkError && error.errno === Errno.exists)) throw error;
  }
  const [link] = netlink.request(getLink(bridge), `find ${bridge}`).map(decodeLink);
  if (link!.kind !== 'bridge') throw new Error(`${bridge} is there and is no bridge`);
  return link!;
}

/** The first characters of the sandbox's id are random enough. */
function vethName({ id }: PodIdentity): string {
  return `${vethPrefix}${id.slice(0, vethIdLength)}`;
}
