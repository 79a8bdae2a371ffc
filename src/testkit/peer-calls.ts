/** Calls of members to each other without HTTP: whoever carries them says how a question reaches a member, and whether its answer comes back. */
import type { ClusterMember } from '#etcd/cluster/members.ts';
import type { PeerCalls, PeerHost } from '#etcd/peers/peers.ts';
import { fromPeer, renewalTold, timeToLiveTold } from '#etcd/peers/source.ts';
import { serverVersion } from '#etcd/version.ts';

/** @param call brings a question to the member and its answer back; rejects when either does not arrive */
export function peerCalls(call: <T>(ask: (host: PeerHost) => T | Promise<T>) => Promise<T>): PeerCalls {
  return {
    members: () =>
      call(({ clusterId, source }) => ({ clusterId, members: source.members() as readonly ClusterMember[] })),
    version: () => call(({ source }) => ({ server: serverVersion, cluster: source.clusterVersion() ?? '' })),
    renewLease: (id) => renewalTold(call(({ source }) => source.renewLease(id))),
    leaseTimeToLive: (id, keys) =>
      timeToLiveTold(
        call(({ source }) => source.leaseTimeToLive(id, keys)),
        id,
      ),
    hashKv: (_clusterId, revision) => call(({ source }) => source.hashKv(revision)),
    promote: (id, token) =>
      call(({ source }) => source.promote(id, token)).catch((error: unknown) => {
        throw fromPeer(error);
      }) as Promise<readonly ClusterMember[]>,
  };
}
