/** What a candidate or pre-candidate does with a message of the current term. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { handleAppend, handleHeartbeat, handleSnapshot } from './append.ts';
import { countVote } from './election.ts';
import { proposalDropped, type RaftError } from './error.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';

export function stepCandidate(raft: Raft, message: Message): RaftError | undefined {
  switch (message.type) {
    // Somebody else leads this term.
    case MessageType.MsgApp:
      becomeFollower(raft, message.term, message.from);
      handleAppend(raft, message);
      return undefined;
    case MessageType.MsgHeartbeat:
      becomeFollower(raft, message.term, message.from);
      handleHeartbeat(raft, message);
      return undefined;
    case MessageType.MsgSnap:
      becomeFollower(raft, message.term, message.from);
      handleSnapshot(raft, message);
      return undefined;
    // An answer to the other phase comes late and says nothing.
    case MessageType.MsgVoteResp:
      if (raft.state === 'StateCandidate') countVote(raft, message);
      return undefined;
    case MessageType.MsgPreVoteResp:
      if (raft.state === 'StatePreCandidate') countVote(raft, message);
      return undefined;
    case MessageType.MsgProp:
      raft.logger.info?.(`${raft.name} no leader at term ${raft.term}; dropping proposal`);
      return proposalDropped;
    case MessageType.MsgTimeoutNow:
      raft.logger.debug?.(
        `${raft.name} [term ${raft.term} state ${raft.state}] ignored MsgTimeoutNow from ${message.from.toString(16)}`,
      );
      return undefined;
    default:
      return undefined;
  }
}
