/** Asks the other members for their hash of a revision: what all checks between members begin with. */
import type { PeerHash } from '../peers/peer-network.ts';
import type { PeerTransport } from '../peers/peers.ts';
import type { ClusterMember } from './members.ts';

/** `hash` is undefined for a member that gave none, and `error` says why. */
export interface AskedPeer {
  readonly id: bigint;
  readonly peerUrls: readonly string[];
  readonly hash: PeerHash | undefined;
  readonly error: unknown;
}

/** All at once, each within the limits of a call. Resolves with one answer for each member but the asking one, in the order of `members`. */
export async function askPeers(options: {
  readonly peers: PeerTransport;
  readonly members: readonly ClusterMember[];
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly revision: number;
}): Promise<readonly AskedPeer[]> {
  const { peers, members, memberId, clusterId, revision } = options;
  return await Promise.all(
    members
      .filter(({ id }) => id !== memberId)
      .map(({ id, peerUrls }) =>
        peers
          .callsTo(peerUrls)
          .hashKv(clusterId, revision)
          .then(
            (hash) => ({ id, peerUrls, hash, error: undefined }),
            (error: unknown) => ({ id, peerUrls, hash: undefined, error }),
          ),
      ),
  );
}
