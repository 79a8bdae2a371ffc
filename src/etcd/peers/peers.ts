/** How a member reaches the others, whatever carries it: their network, and calls to one of them. */
import type { LeaseTimeToLiveResponse } from '#api-etcd/gen/rpc.ts';
import type { ClusterMember } from '../cluster/members.ts';
import type { PeerEvents, PeerHash, PeerNetwork, PeerSource } from './peer-network.ts';

export interface Peers {
  readonly network: PeerNetwork;
  /** Calls to whichever of the addresses answers. */
  callsTo(urls: readonly string[]): PeerCalls;
}

/** What one member asks another besides raft. Rejects with RpcError for what the other says, with any other error when it cannot be reached. */
export interface PeerCalls {
  /** Of the cluster that the other belongs to. */
  members(): Promise<{ readonly clusterId: bigint; readonly members: readonly ClusterMember[] }>;
  /** Its own version, `3.5.16`, and the cluster's. */
  version(): Promise<{ readonly server: string; readonly cluster: string }>;
  /** Seconds; 0 for a lease that is gone. */
  renewLease(id: bigint): Promise<number>;
  leaseTimeToLive(id: bigint, keys: boolean): Promise<LeaseTimeToLiveResponse>;
  /** @param token of the caller: with authentication on the leader asks who it is. Upstream's read it from 3.5.28 and 3.6.6 on; older ones refuse. */
  promote(id: bigint, token?: string): Promise<readonly ClusterMember[]>;
  hashKv(clusterId: bigint, revision: number): Promise<PeerHash>;
}

/** The member that is to be reached. */
export interface PeerHost {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly events: PeerEvents;
  readonly source: PeerSource;
}

/** Made before the member knows its ids: one that joins asks the others first. */
export interface PeerTransport {
  callsTo(urls: readonly string[]): PeerCalls;
  connect(host: PeerHost): PeerNetwork;
}
