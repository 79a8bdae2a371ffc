/** Which members are there, as far as the connections with them say. (upstream: server/etcdserver/cluster_util.go) */
import { majorityOf } from '#raft/quorum.ts';
import type { Member } from '../member.ts';
import type { ClusterMember } from './members.ts';

/** Whether the connection with another member is up since then; a member is connected with itself always. Monotonic milliseconds. */
export function isConnectedSince(member: Member, id: bigint, sinceMs: number): boolean {
  if (id === member.identity.memberId) return true;
  const activeMs = member.activeSinceMs(id);
  return activeMs !== undefined && activeMs < sinceMs;
}

/** This member is among them, if it is a voter. Monotonic milliseconds. */
export function countConnectedSince(member: Member, voters: readonly ClusterMember[], sinceMs: number): number {
  return voters.filter(({ id }) => isConnectedSince(member, id, sinceMs)).length;
}

/** Monotonic milliseconds. */
export function hasQuorumSince(member: Member, sinceMs: number): boolean {
  const voters = member.machine.members.voters();
  return countConnectedSince(member, voters, sinceMs) >= majorityOf(voters.length);
}
