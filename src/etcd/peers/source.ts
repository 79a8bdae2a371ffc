/** What a member answers on its peer port besides raft. */
import { etcdError, isEtcdError } from '#api-etcd/errors.ts';
import { LeaseTimeToLiveResponse } from '#api-etcd/gen/rpc.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { promote } from '../cluster/promote.ts';
import { renewHere, timeToLive } from '../lease/service.ts';
import { hashAt } from '../maintenance/hash-at.ts';
import type { Member } from '../member.ts';
import { isPeerError, type PeerErrorName, peerError } from './peer-error.ts';
import type { PeerSource } from './peer-network.ts';

/** Errors of the member that members have words of their own for. */
const peerErrors: readonly (readonly [Parameters<typeof isEtcdError>[1], PeerErrorName])[] = [
  ['compacted', 'compacted'],
  ['futureRevision', 'futureRevision'],
  ['memberNotFound', 'memberNotFound'],
  ['memberNotLearner', 'memberNotLearner'],
  ['learnerNotReady', 'learnerNotReady'],
];

export function peerSource(member: Member, authenticator: Authenticator): PeerSource {
  /** Only the leader answers, and only when it has made sure that it is the leader. */
  const leading = async () => {
    try {
      await member.linearized();
    } catch {
      throw peerError('leaseTimeout');
    }
    if (!member.isLeader) throw peerError('notPrimary');
  };
  return {
    members: () => member.machine.members.all(),
    clusterVersion: () => member.machine.clusterVersion || undefined,
    storageVersion: () => undefined,
    async hashKv(revision) {
      const { store } = member;
      const hash = await hashAt(member, revision).catch(translate);
      return { ...hash, revision: store.revision };
    },
    async promote(id, token) {
      // Whoever has asked may find another leader.
      if (!member.isLeader) throw peerError('notLeader');
      authenticator.checkAdminToken(token);
      return promote(member, id).catch(translate);
    },
    async renewLease(id) {
      await leading();
      const ttl = renewHere(member, id);
      if (ttl === undefined) throw peerError('leaseNotFound');
      return ttl;
    },
    async leaseTimeToLive(id, keys) {
      await leading();
      if (member.machine.leases.get(id) === undefined) throw peerError('leaseNotFound');
      return timeToLive(member, id, keys);
    },
    async downgradeEnabled() {
      await member.linearized();
      return member.machine.downgrade.enabled;
    },
  };
}

/** What the leader says of a renewal, in the words of the Lease service: 0 for a lease that is gone. */
export function renewalTold(answer: Promise<number>): Promise<number> {
  return answer.catch((error: unknown) => {
    if (isPeerError(error, 'leaseNotFound')) return 0;
    throw fromPeer(error);
  });
}

/** What the leader says of a lease's time, in the words of the Lease service: -1 for one that is gone. */
export function timeToLiveTold(answer: Promise<LeaseTimeToLiveResponse>, id: bigint): Promise<LeaseTimeToLiveResponse> {
  return answer.catch((error: unknown) => {
    if (isPeerError(error, 'leaseNotFound')) return LeaseTimeToLiveResponse.create({ id, ttl: -1 });
    throw fromPeer(error);
  });
}

/** What another member has said, as our clients are told; anything else as it is. */
export function fromPeer(error: unknown): unknown {
  for (const [ours, theirs] of peerErrors) if (isPeerError(error, theirs)) return etcdError(ours);
  return error;
}

function translate(error: unknown): never {
  for (const [ours, theirs] of peerErrors) if (isEtcdError(error, ours)) throw peerError(theirs);
  throw error;
}
