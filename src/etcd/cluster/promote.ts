/** A learner that has caught up becomes a voter. Only the leader knows how far it is. */
import { etcdError } from '#api-etcd/errors.ts';
import { ConfChangeType } from '#api-etcd/gen/raft.ts';
import type { Member } from '../member.ts';
import { changeContextJson } from './member-json.ts';
import type { ClusterMember } from './members.ts';
import { checkMayPromote } from './readiness.ts';

/** Of what the leader's own log has. Upstream's figure. */
const readyShare = 0.9;

/** Whether another member has about what the leader's own log has. For the leader; false on others. */
export function isInSync({ replica, identity }: Member, id: bigint): boolean {
  const progress = replica?.progress(id);
  const own = replica?.progress(identity.memberId);
  return progress !== undefined && own !== undefined && progress.match >= own.match * readyShare;
}

/** For the leader. @throws RpcError */
export async function promote(member: Member, id: bigint): Promise<readonly ClusterMember[]> {
  const learner = member.machine.members.get(id);
  if (learner === undefined) throw etcdError('memberNotFound');
  if (!learner.isLearner) throw etcdError('memberNotLearner');
  if (!isInSync(member, id)) throw etcdError('learnerNotReady');
  checkMayPromote(member);
  return member.changeMembers({
    type: ConfChangeType.ConfChangeAddNode,
    nodeId: id,
    context: changeContextJson({ ...learner, isLearner: false }, true),
  });
}
