/** The way in: a message, or a tick. Terms are settled here (Raft, 5.1); what the current term is about is the roles' business. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { assertNever } from '#std/assert.ts';
import { stepCandidate } from './candidate.ts';
import { answerVoteRequest, campaignIfAllowed, isLeased, refuseVote } from './election.ts';
import type { RaftError } from './error.ts';
import { stepFollower } from './follower.ts';
import { stepLeader, tickLeader } from './leader.ts';
import { messageTypeName, noNode } from './message.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';
import { appliedSnapshot, handleApplied, handleStable } from './storage-response.ts';

export function tick(raft: Raft): void {
  if (raft.state === 'StateLeader') {
    tickLeader(raft);
    return;
  }
  raft.electionElapsed++;
  if (!raft.promotable || raft.electionElapsed < raft.randomizedElectionTimeout) return;
  raft.electionElapsed = 0;
  campaign(raft);
}

/** Campaigns now. */
export function campaign(raft: Raft): void {
  campaignIfAllowed(raft, raft.settings.preVote ? 'pre-election' : 'election');
}

/** Messages of term 0 are local, or on their way to the leader whatever its term. */
export function step(raft: Raft, message: Message): RaftError | undefined {
  if (message.term !== 0) {
    if (message.term > raft.term) {
      if (!acceptNewerTerm(raft, message)) return undefined;
    } else if (message.term < raft.term) {
      answerOlderTerm(raft, message);
      return undefined;
    }
  }
  switch (message.type) {
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      answerVoteRequest(raft, message);
      return undefined;
    case MessageType.MsgStorageAppendResp:
      handleStable(raft, message);
      return undefined;
    case MessageType.MsgStorageApplyResp:
      handleApplied(raft, message);
      return undefined;
    default:
      return stepRole(raft, message);
  }
}

function stepRole(raft: Raft, message: Message): RaftError | undefined {
  switch (raft.state) {
    case 'StateLeader':
      return stepLeader(raft, message);
    case 'StateFollower':
      return stepFollower(raft, message);
    case 'StateCandidate':
    case 'StatePreCandidate':
      return stepCandidate(raft, message);
    default:
      return assertNever(raft.state);
  }
}

/** A newer term makes everybody a follower in it, but for pre-votes, which are about a term that has not begun. False to ignore the message. */
function acceptNewerTerm(raft: Raft, message: Message): boolean {
  const { type, from, term, reject } = message;
  switch (type) {
    case MessageType.MsgPreVote:
      return !isLeased(raft, message);
    case MessageType.MsgPreVoteResp:
      // Granted: the term is the one that we asked about. Refused: it is the voter's own.
      if (!reject) return true;
      break;
    case MessageType.MsgVote:
      if (isLeased(raft, message)) return false;
      break;
  }
  raft.logger.info?.(
    `${raft.name} [term: ${raft.term}] received a ${messageTypeName(type)} message with higher term from ${from.toString(16)} [term: ${term}]`,
  );
  const fromLeader = type === MessageType.MsgApp || type === MessageType.MsgHeartbeat || type === MessageType.MsgSnap;
  becomeFollower(raft, term, fromLeader ? from : noNode);
  return true;
}

/** Old news. Some senders have to learn of the newer term all the same. */
function answerOlderTerm(raft: Raft, message: Message): void {
  const { type, from, term } = message;
  const { settings, logger, name } = raft;
  switch (type) {
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
      // A leader that is behind us, who have moved on alone: with check-quorum or pre-vote our requests for votes are ignored, so without this
      // answer we would be out for good (dissertation, 9.6).
      if (settings.checkQuorum || settings.preVote) {
        raft.sendAppendResponse(from, 0);
        return;
      }
      break;
    case MessageType.MsgPreVote:
      // Without an answer, members with and without pre-vote could wait for each other for ever.
      refuseVote(raft, message);
      return;
    case MessageType.MsgStorageAppendResp:
      // What was written in an older term may since have been overwritten in the tail: only a write of this term can tell.
      if (message.index !== 0)
        logger.info?.(
          `${name} [term: ${raft.term}] ignored entry appends from a ${messageTypeName(type)} message with lower term [term: ${term}]`,
        );
      // A snapshot is of committed state, whatever the term.
      if (message.snapshot !== undefined) appliedSnapshot(raft, message.snapshot);
      return;
  }
  logger.info?.(
    `${name} [term: ${raft.term}] ignored a ${messageTypeName(type)} message with lower term from ${from.toString(16)} [term: ${term}]`,
  );
}
