/**
 * Whether the cluster can stand a change of its members: after it, those who are there must still be a quorum. Nothing is asked where
 * `--strict-reconfig-check` is off.
 * (upstream: server/etcdserver/api/membership, server.go mayAddMember, mayRemoveMember)
 */
import { etcdError } from '#api-etcd/errors.ts';
import { majorityOf } from '#raft/quorum.ts';
import type { Member } from '../member.ts';
import { countConnectedSince } from './connected.ts';
import type { ClusterMember } from './members.ts';

/** Connected for as long counts as healthy. */
const healthyAfterMs = 5000;

/** @throws RpcError */
export function checkMayAdd(member: Member, isLearner: boolean): void {
  if (!member.strictReconfigCheck) return;
  const voters = member.machine.members.voters();
  if (!isLearner && !enoughStarted(voters)) throw etcdError('memberNotEnoughStarted');
  // The new member counts as down. From one member to two there is no way around losing the quorum for a while.
  if (voters.length > 1 && countConnectedSince(member, voters, healthySinceMs(member)) < majorityOf(voters.length + 1))
    throw etcdError('unhealthy');
}

/** @throws RpcError */
export function checkMayRemove(member: Member, id: bigint): void {
  if (!member.strictReconfigCheck) return;
  const { members } = member.machine;
  if (members.get(id)?.isLearner === true) return;
  const left = members.voters().filter((each) => each.id !== id);
  if (startedOf(left) < majorityOf(left.length)) throw etcdError('memberNotEnoughStarted');
  // Who is down is no part of the quorum that works.
  if (id !== member.identity.memberId && member.activeSinceMs(id) === undefined) return;
  const voters = members.voters();
  if (countConnectedSince(member, voters, healthySinceMs(member)) - 1 < majorityOf(voters.length - 1))
    throw etcdError('unhealthy');
}

/** @throws RpcError */
export function checkMayPromote(member: Member): void {
  if (!member.strictReconfigCheck) return;
  const voters = member.machine.members.voters();
  // The learner has started: it is in sync.
  if (startedOf(voters) + 1 < majorityOf(voters.length + 1)) throw etcdError('memberNotEnoughStarted');
}

/** Whether those who have started are a quorum together with a member that has not. */
function enoughStarted(voters: readonly ClusterMember[]): boolean {
  const started = startedOf(voters);
  return (started === 1 && voters.length === 1) || started >= majorityOf(voters.length + 1);
}

function startedOf(voters: readonly ClusterMember[]): number {
  return voters.filter(({ name }) => name !== '').length;
}

function healthySinceMs(member: Member): number {
  return member.nowMs() - healthyAfterMs;
}
