/** Handing leadership over (dissertation, 3.10): bring the other's log up to date, then tell it to campaign at once. */
import { MessageType } from '#api-etcd/gen/raft.ts';
import { draft, noNode } from './message.ts';
import type { Progress } from './progress.ts';
import type { NodeId } from './quorum.ts';
import type { Raft } from './raft.ts';
import { sendAppend } from './replication.ts';

export function transferLeadership(raft: Raft, target: NodeId, progress: Progress): void {
  const { logger, name, term } = raft;
  const to = target.toString(16);
  if (progress.isLearner) {
    logger.debug?.(`${name} is learner. Ignored transferring leadership`);
    return;
  }
  const previous = raft.leadTransferee;
  if (previous === target) {
    logger.info?.(
      `${name} [term ${term}] transfer leadership to ${to} is in progress, ignores request to same node ${to}`,
    );
    return;
  }
  if (previous !== noNode) {
    raft.leadTransferee = noNode;
    logger.info?.(`${name} [term ${term}] abort previous transferring leadership to ${previous.toString(16)}`);
  }
  if (target === raft.id) {
    logger.debug?.(`${name} is already leader. Ignored transferring leadership to self`);
    return;
  }
  logger.info?.(`${name} [term ${term}] starts to transfer leadership to ${to}`);
  // It is given one election timeout.
  raft.electionElapsed = 0;
  raft.leadTransferee = target;
  if (progress.match === raft.log.lastIndex()) {
    raft.send(draft(MessageType.MsgTimeoutNow, target));
    logger.info?.(`${name} sends MsgTimeoutNow to ${to} immediately as ${to} already has up-to-date log`);
  } else sendAppend(raft, target, progress, true);
}
