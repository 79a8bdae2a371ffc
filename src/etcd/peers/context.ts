/** What all parts of one member's peer network share: who the member is, its clock, whom to tell, what is counted. */
import type { Clock } from '#std/clock.ts';
import type { DialTarget } from '#transport/dial.ts';
import type { HeaderList } from '#transport/http.ts';
import { serverVersion } from '../version.ts';
import type { SharedFrames } from './codec/msgapp-stream.ts';
import type { PeerEvents } from './peer-network.ts';
import type { Traffic } from './traffic.ts';
import { minClusterVersion } from './version-check.ts';

export type PeerTls = NonNullable<DialTarget['tls']>;

export interface PeerContext {
  readonly localId: bigint;
  readonly clusterId: bigint;
  /** Where peers reach this member; they learn it from its requests. */
  readonly urls: readonly string[];
  /** Until a connection stands; upstream: one second and an election timeout. */
  readonly dialTimeoutMs: number;
  readonly clock: Clock;
  readonly events: PeerEvents;
  readonly traffic: Traffic;
  readonly frames: SharedFrames;
  /** As it is now: certificates change. */
  readonly tls: () => PeerTls | undefined;
  /** What an operator should know, and what only tells how things go. */
  readonly log: (message: string) => void;
  readonly inform: (message: string) => void;
  /** Tells the member at the end of this turn, not from inside a call to the network. */
  readonly reportUnreachable: (id: bigint) => void;
}

/** Connections on which nothing moves for this long are given up, reading and writing (upstream: ConnReadTimeout, ConnWriteTimeout). */
export const ioTimeoutMs = 5000;

/** Ids in paths, headers and texts. */
export function hexId(id: bigint): string {
  return id.toString(16);
}

/** An id in hexadecimal; undefined for anything else, as Go's ParseUint reads it. */
export function parseHexId(text: string): bigint | undefined {
  return /^[0-9a-fA-F]{1,64}$/.test(text) && BigInt(`0x${text}`) < 1n << 64n ? BigInt(`0x${text}`) : undefined;
}

/** Headers of every request of a member to a peer. */
export function peerHeaders({ localId, clusterId, urls }: PeerContext): HeaderList {
  return [
    ['x-server-from', hexId(localId)],
    ['x-server-version', serverVersion],
    ['x-min-cluster-version', minClusterVersion],
    ['x-etcd-cluster-id', hexId(clusterId)],
    ['x-peerurls', urls.join(',')],
  ];
}
