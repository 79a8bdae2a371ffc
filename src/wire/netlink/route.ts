/**
 * rtnetlink: links, addresses and routes as requests and replies. man rtnetlink(7); numbers from `linux/if_link.h`,
 * `linux/if_addr.h` and `linux/rtnetlink.h`.
 */
import { formatAddress, type Prefix } from './ip-address.ts';
import {
  type Attribute,
  cString,
  decodeAttributes,
  encodeAttributes,
  Flag,
  type NetlinkMessage,
  u8,
  u32,
  zeroTerminated,
} from './message.ts';

const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddr: 20,
  getAddr: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
} as const;
const IFLA = { address: 1, ifname: 3, mtu: 4, master: 10, linkInfo: 18, netNsFd: 28, protInfo: 12 } as const;
const INFO = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const;
const VETH_INFO_PEER = 1;
const BRPORT_MODE_HAIRPIN = 4;
const IFA = { address: 1, local: 2 } as const;
const RTA = { dst: 1, oif: 4, gateway: 5, prefSrc: 7 } as const;
const IFF_UP = 1;
const AF = { inet: 2, inet6: 10 } as const;

export const RouteScope = { universe: 0, link: 253 } as const;

/** A network interface as a dump shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** Six bytes as `02:00:...`; empty for links without one. */
  readonly hardwareAddress: string;
  /** `bridge`, `veth`...; empty for physical links. */
  readonly kind: string;
  /** Index of the bridge it is a port of; 0 for none. */
  readonly master: number;
}

export function createBridge(name: string, mtu: number): NetlinkMessage {
  return newLink(0, 0, [
    [IFLA.ifname, zeroTerminated(name)],
    [IFLA.mtu, u32(mtu)],
    [IFLA.linkInfo, [[INFO.kind, zeroTerminated('bridge')]]],
  ]);
}

export interface VethRequest {
  readonly name: string;
  readonly peerName: string;
  /** Where the peer end is born: a descriptor of a network namespace, in the process that sends the request. */
  readonly peerNetnsFd?: number;
  readonly mtu: number;
  /** Index of the bridge that the near end becomes a port of. */
  readonly master: number;
  /** Six bytes for the peer; the kernel draws one otherwise. */
  readonly peerHardwareAddress?: Uint8Array;
}

/** Both ends at once; the near end comes up, the peer stays down until its own namespace raises it. */
export function createVeth(request: VethRequest): NetlinkMessage {
  const peer: Attribute[] = [
    [IFLA.ifname, zeroTerminated(request.peerName)],
    [IFLA.mtu, u32(request.mtu)],
  ];
  if (request.peerNetnsFd !== undefined) peer.push([IFLA.netNsFd, u32(request.peerNetnsFd)]);
  if (request.peerHardwareAddress !== undefined) peer.push([IFLA.address, request.peerHardwareAddress]);
  const peerBody = Buffer.concat([ifInfo(0, 0, 0), encodeAttributes(peer)]);
  return newLink(IFF_UP, IFF_UP, [
    [IFLA.ifname, zeroTerminated(request.name)],
    [IFLA.mtu, u32(request.mtu)],
    [IFLA.master, u32(request.master)],
    [
      IFLA.linkInfo,
      [
        [INFO.kind, zeroTerminated('veth')],
        [INFO.data, [[VETH_INFO_PEER, peerBody]]],
      ],
    ],
  ]);
}

/** Raises a link. */
export function setLinkUp(index: number): NetlinkMessage {
  return { type: RTM.newLink, flags: Flag.request | Flag.ack, body: ifInfo(index, IFF_UP, IFF_UP) };
}

/** Lets a bridge send a frame back out of the port it came in by: a pod that reaches itself through a service. */
export function setHairpin(portIndex: number): NetlinkMessage {
  const body = ifInfo(portIndex, 0, 0);
  body.writeUInt8(7, 0); // AF_BRIDGE
  return {
    type: RTM.setLink,
    flags: Flag.request | Flag.ack,
    body: Buffer.concat([body, encodeAttributes([[IFLA.protInfo, [[BRPORT_MODE_HAIRPIN, u8(1)]]]])]),
  };
}

export function deleteLink(name: string): NetlinkMessage {
  return {
    type: RTM.delLink,
    flags: Flag.request | Flag.ack,
    body: Buffer.concat([ifInfo(0, 0, 0), encodeAttributes([[IFLA.ifname, zeroTerminated(name)]])]),
  };
}

export function dumpLinks(): NetlinkMessage {
  return { type: RTM.getLink, flags: Flag.request | Flag.dump, body: ifInfo(0, 0, 0) };
}

export function getLink(name: string): NetlinkMessage {
  return {
    type: RTM.getLink,
    flags: Flag.request,
    body: Buffer.concat([ifInfo(0, 0, 0), encodeAttributes([[IFLA.ifname, zeroTerminated(name)]])]),
  };
}

export function decodeLink(body: Buffer): Link {
  const attributes = decodeAttributes(body.subarray(16));
  const info = attributes.get(IFLA.linkInfo);
  const kind = info === undefined ? undefined : decodeAttributes(info).get(INFO.kind);
  return {
    index: body.readInt32LE(4),
    name: cString(attributes.get(IFLA.ifname) ?? Buffer.alloc(0)),
    up: (body.readUInt32LE(8) & IFF_UP) !== 0,
    mtu: attributes.get(IFLA.mtu)?.readUInt32LE(0) ?? 0,
    hardwareAddress: [...(attributes.get(IFLA.address) ?? [])]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join(':'),
    kind: kind === undefined ? '' : cString(kind),
    master: attributes.get(IFLA.master)?.readUInt32LE(0) ?? 0,
  };
}

/** Gives a link an address; one that is already there is left as it is (`replace`). */
export function addAddress(linkIndex: number, address: Buffer, prefixLength: number): NetlinkMessage {
  const header = Buffer.alloc(8);
  header.writeUInt8(familyOf(address), 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(linkIndex, 4);
  return {
    type: RTM.newAddr,
    flags: Flag.request | Flag.ack | Flag.create | Flag.replace,
    body: Buffer.concat([
      header,
      encodeAttributes([
        [IFA.local, address],
        [IFA.address, address],
      ]),
    ]),
  };
}

export function dumpAddresses(): NetlinkMessage {
  return { type: RTM.getAddr, flags: Flag.request | Flag.dump, body: Buffer.alloc(8) };
}

export function decodeAddress(body: Buffer): {
  readonly linkIndex: number;
  readonly address: string;
  readonly prefixLength: number;
} {
  const attributes = decodeAttributes(body.subarray(8));
  const address = attributes.get(IFA.local) ?? attributes.get(IFA.address) ?? Buffer.alloc(4);
  return { linkIndex: body.readUInt32LE(4), address: formatAddress(address), prefixLength: body.readUInt8(1) };
}

export interface RouteRequest {
  /** Undefined: the default route. */
  readonly destination: Prefix | undefined;
  readonly family?: 4 | 6;
  readonly linkIndex: number;
  readonly gateway?: Buffer;
  /** `link` for a destination reached without a gateway. */
  readonly scope: (typeof RouteScope)[keyof typeof RouteScope];
}

/** Adds a route to the main table, or replaces the one for the same destination. */
export function addRoute(route: RouteRequest): NetlinkMessage {
  const header = Buffer.alloc(12);
  const v6 = route.destination === undefined ? route.family === 6 : route.destination.address.length === 16;
  header.writeUInt8(v6 ? AF.inet6 : AF.inet, 0);
  header.writeUInt8(route.destination?.length ?? 0, 1);
  header.writeUInt8(254, 4); // main table
  header.writeUInt8(4, 5); // protocol static
  header.writeUInt8(route.scope, 6);
  header.writeUInt8(1, 7); // unicast
  const attributes: Attribute[] = [[RTA.oif, u32(route.linkIndex)]];
  if (route.destination !== undefined) attributes.push([RTA.dst, route.destination.address]);
  if (route.gateway !== undefined) attributes.push([RTA.gateway, route.gateway]);
  return {
    type: RTM.newRoute,
    flags: Flag.request | Flag.ack | Flag.create | Flag.replace,
    body: Buffer.concat([header, encodeAttributes(attributes)]),
  };
}

function newLink(flags: number, change: number, attributes: readonly Attribute[]): NetlinkMessage {
  return {
    type: RTM.newLink,
    flags: Flag.request | Flag.ack | Flag.create | Flag.excl,
    body: Buffer.concat([ifInfo(0, flags, change), encodeAttributes(attributes)]),
  };
}

/** struct ifinfomsg. */
function ifInfo(index: number, flags: number, change: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

function familyOf(address: Buffer): number {
  return address.length === 4 ? AF.inet : AF.inet6;
}
