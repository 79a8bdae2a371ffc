/** What the transport tells a leader of a member: that it does not answer, that a snapshot has arrived or not. */
import { describeProgress } from './progress.ts';
import type { NodeId } from './quorum.ts';
import type { Raft } from './raft.ts';

/** Messages that were sent without waiting for answers are probably lost: ask again how far the member is. */
export function reportUnreachable(raft: Raft, id: NodeId): void {
  const progress = progressAtLeader(raft, id);
  if (progress === undefined) return;
  if (progress.state === 'StateReplicate') progress.becomeProbe();
  raft.logger.debug?.(
    `${raft.name} failed to send message to ${id.toString(16)} because it is unreachable [${describeProgress(progress)}]`,
  );
}

export function reportSnapshot(raft: Raft, id: NodeId, arrived: boolean): void {
  const progress = progressAtLeader(raft, id);
  if (progress === undefined || progress.state !== 'StateSnapshot') return;
  // Probing goes on after the snapshot, unless it never came.
  if (!arrived) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  raft.logger.debug?.(
    `${raft.name} snapshot ${arrived ? 'succeeded' : 'failed'}, resumed sending replication messages to ${id.toString(16)} [${describeProgress(progress)}]`,
  );
  // Its own word comes first, or the next heartbeat.
  progress.flowPaused = true;
}

function progressAtLeader(raft: Raft, id: NodeId) {
  if (raft.state !== 'StateLeader') return undefined;
  const progress = raft.tracker.get(id);
  if (progress === undefined) raft.logger.debug?.(`${raft.name} no progress available for ${id.toString(16)}`);
  return progress;
}
