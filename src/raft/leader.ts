/** What a leader does with a message of the current term, and with the passing of time. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { handleAppendResponse } from './append-response.ts';
import type { RaftError } from './error.ts';
import { noNode } from './message.ts';
import { propose } from './proposal.ts';
import type { Raft } from './raft.ts';
import { answerConfirmedReads, handleReadIndex } from './reads.ts';
import { broadcastHeartbeat, sendAppend } from './replication.ts';
import { becomeFollower } from './roles.ts';
import { transferLeadership } from './transfer.ts';

export function stepLeader(raft: Raft, message: Message): RaftError | undefined {
  switch (message.type) {
    case MessageType.MsgProp:
      return propose(raft, message.entries);
    case MessageType.MsgReadIndex:
      handleReadIndex(raft, message);
      return undefined;
    case MessageType.MsgAppResp:
    case MessageType.MsgHeartbeatResp:
    case MessageType.MsgTransferLeader:
      break;
    default:
      return undefined;
  }
  const progress = raft.tracker.get(message.from);
  if (progress === undefined) {
    raft.logger.debug?.(`${raft.name} no progress available for ${message.from.toString(16)}`);
    return undefined;
  }
  switch (message.type) {
    case MessageType.MsgAppResp:
      handleAppendResponse(raft, message, progress);
      return undefined;
    case MessageType.MsgHeartbeatResp:
      progress.recentActive = true;
      progress.flowPaused = false;
      // With a full window the message is empty, and its answer tells whether what fills the window has been lost.
      if (progress.match < raft.log.lastIndex() || progress.state === 'StateProbe')
        sendAppend(raft, message.from, progress, true);
      if (message.context !== undefined) answerConfirmedReads(raft, message.from, message.context);
      return undefined;
    case MessageType.MsgTransferLeader:
      transferLeadership(raft, message.from, progress);
      return undefined;
    default:
      return undefined;
  }
}

export function tickLeader(raft: Raft): void {
  const { settings } = raft;
  raft.heartbeatElapsed++;
  raft.electionElapsed++;
  if (raft.electionElapsed >= settings.electionTicks) {
    raft.electionElapsed = 0;
    if (settings.checkQuorum) checkQuorum(raft);
    if (raft.state !== 'StateLeader') return;
    // Who was to lead has not begun to in an election timeout: we go on.
    raft.leadTransferee = noNode;
  }
  if (raft.heartbeatElapsed >= settings.heartbeatTicks) {
    raft.heartbeatElapsed = 0;
    broadcastHeartbeat(raft);
  }
}

/** Steps down when no majority was heard from since the last time (dissertation, 6.2). */
function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.logger.warning?.(`${raft.name} stepped down to follower since quorum is not active`);
    becomeFollower(raft, raft.term, noNode);
  }
  for (const [id, progress] of raft.tracker.members) if (id !== raft.id) progress.recentActive = false;
}
