/**
 * Whether the cluster can stand a change of its members: after it, those who are there must still be a quorum.
 * (upstream: server/etcdserver/api/membership, server.go mayAddMember, mayRemoveMember)
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { Member } from '../member.ts';
import type { ClusterMember } from './members.ts';

/** Connected for as long counts as healthy. */
const healthyAfterMs = 5000;

/** @throws RpcError */
export function checkMayAdd(member: Member, isLearner: boolean): void {
  const voters = member.machine.members.voters();
  if (!isLearner && !enoughStarted(voters)) throw etcdError('memberNotEnoughStarted');
  // The new member counts as down. From one member to two there is no way around losing the quorum for a while.
  if (voters.length > 1 && connected(member, voters) < quorumOf(voters.length + 1)) throw etcdError('unhealthy');
}

/** @throws RpcError */
export function checkMayRemove(member: Member, id: bigint): void {
  const { members } = member.machine;
  if (members.get(id)?.isLearner === true) return;
  const left = members.voters().filter((each) => each.id !== id);
  if (startedOf(left) < quorumOf(left.length)) throw etcdError('memberNotEnoughStarted');
  // Who is down is no part of the quorum that works.
  if (id !== member.identity.memberId && member.activeSinceMs(id) === undefined) return;
  const voters = members.voters();
  if (connected(member, voters) - 1 < quorumOf(voters.length - 1)) throw etcdError('unhealthy');
}

/** @throws RpcError */
export function checkMayPromote(member: Member): void {
  const voters = member.machine.members.voters();
  // The learner has started: it is in sync.
  if (startedOf(voters) + 1 < quorumOf(voters.length + 1)) throw etcdError('memberNotEnoughStarted');
}

/** Whether those who have started are a quorum together with a member that has not. */
function enoughStarted(voters: readonly ClusterMember[]): boolean {
  const started = startedOf(voters);
  return (started === 1 && voters.length === 1) || started >= quorumOf(voters.length + 1);
}

function startedOf(voters: readonly ClusterMember[]): number {
  return voters.filter(({ name }) => name !== '').length;
}

/** How many are connected long enough, this member among them. */
function connected(member: Member, voters: readonly ClusterMember[]): number {
  return voters.filter(({ id }) => {
    if (id === member.identity.memberId) return true;
    const sinceMs = member.activeSinceMs(id);
    return sinceMs !== undefined && member.nowMs() - sinceMs >= healthyAfterMs;
  }).length;
}

function quorumOf(count: number): number {
  return (count >> 1) + 1;
}
