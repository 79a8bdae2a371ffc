/** What a leader makes of an answer to an append: the follower's log is longer, or its end is searched for; something may be committed. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { draft } from './message.ts';
import { describeProgress, type Progress } from './progress.ts';
import type { Raft } from './raft.ts';
import { releasePendingReads } from './reads.ts';
import { broadcastAppend, maybeCommit, sendAppend } from './replication.ts';

export function handleAppendResponse(raft: Raft, message: Message, progress: Progress): void {
  progress.recentActive = true;
  if (message.reject) handleRejection(raft, message, progress);
  else handleAcceptance(raft, message, progress);
}

/**
 * The follower does not have the entry that ours were to follow. It says where its log may agree with ours (`rejectHint`, of term `logTerm`). Of
 * our own log everything of a higher term is out, for terms never go down along a log: so there is at most one probe a term, however long
 * the tails are that differ.
 */
function handleRejection(raft: Raft, message: Message, progress: Progress): void {
  const { from, rejectHint, logTerm, index } = message;
  const { log, logger, name } = raft;
  logger.debug?.(
    `${name} received MsgAppResp(rejected, hint: (index ${rejectHint}, term ${logTerm})) from ${from.toString(16)} for index ${index}`,
  );
  const next = logTerm > 0 ? log.findConflictByTerm(rejectHint, logTerm) : rejectHint;
  if (!progress.maybeDecreaseTo(index, next)) return;
  logger.debug?.(`${name} decreased progress of ${from.toString(16)} to [${describeProgress(progress)}]`);
  if (progress.state === 'StateReplicate') progress.becomeProbe();
  sendAppend(raft, from, progress, true);
}

function handleAcceptance(raft: Raft, message: Message, progress: Progress): void {
  const { from, index } = message;
  const { log } = raft;
  // An answer with nothing new still ends probing: the probe has arrived.
  if (!progress.maybeUpdate(index) && !(progress.match === index && progress.state === 'StateProbe')) return;
  advance(raft, from, index, progress);
  const ourselves = from === raft.id;
  if (maybeCommit(raft)) {
    releasePendingReads(raft);
    broadcastAppend(raft);
  } else if (!ourselves && progress.canBumpCommit(log.committed)) sendAppend(raft, from, progress, true);
  if (ourselves) return;
  // The window has room again: fill it.
  while (sendAppend(raft, from, progress, false));
  if (from === raft.leadTransferee && progress.match === log.lastIndex()) {
    raft.logger.info?.(`${raft.name} sent MsgTimeoutNow to ${from.toString(16)} after received MsgAppResp`);
    raft.send(draft(MessageType.MsgTimeoutNow, from));
  }
}

function advance(raft: Raft, from: bigint, index: number, progress: Progress): void {
  switch (progress.state) {
    case 'StateProbe':
      progress.becomeReplicate();
      break;
    case 'StateReplicate':
      progress.inflights.freeThrough(index);
      break;
    case 'StateSnapshot':
      // Whatever snapshot it was that has arrived there: our log goes on from it.
      if (progress.match + 1 < raft.log.firstIndex()) break;
      raft.logger.debug?.(
        `${raft.name} recovered from needing snapshot, resumed sending replication messages to ${from.toString(16)} [${describeProgress(progress)}]`,
      );
      progress.becomeProbe();
      progress.becomeReplicate();
      break;
  }
}
