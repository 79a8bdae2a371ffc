/** What a follower does with a message of the current term. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { handleAppend, handleHeartbeat, handleSnapshot } from './append.ts';
import { campaignIfAllowed } from './election.ts';
import { proposalDropped, type RaftError } from './error.ts';
import { forwarded, noNode } from './message.ts';
import type { Raft } from './raft.ts';

export function stepFollower(raft: Raft, message: Message): RaftError | undefined {
  const { logger, name } = raft;
  switch (message.type) {
    case MessageType.MsgApp:
      hearLeader(raft, message);
      handleAppend(raft, message);
      return undefined;
    case MessageType.MsgHeartbeat:
      hearLeader(raft, message);
      handleHeartbeat(raft, message);
      return undefined;
    case MessageType.MsgSnap:
      hearLeader(raft, message);
      handleSnapshot(raft, message);
      return undefined;
    case MessageType.MsgProp:
      return forwardProposal(raft, message);
    case MessageType.MsgReadIndex:
      if (raft.leader === noNode) logger.info?.(`${name} no leader at term ${raft.term}; dropping index reading msg`);
      else raft.send(forwarded(message, raft.leader));
      return undefined;
    case MessageType.MsgReadIndexResp:
      if (message.entries.length !== 1)
        logger.error?.(
          `${name} invalid format of MsgReadIndexResp from ${message.from.toString(16)}, entries count: ${message.entries.length}`,
        );
      else raft.readStates.push({ index: message.index, context: message.entries[0]!.data });
      return undefined;
    case MessageType.MsgTransferLeader:
      if (raft.leader === noNode) logger.info?.(`${name} no leader at term ${raft.term}; dropping leader transfer msg`);
      else raft.send(forwarded(message, raft.leader));
      return undefined;
    case MessageType.MsgTimeoutNow:
      logger.info?.(
        `${name} [term ${raft.term}] received MsgTimeoutNow from ${message.from.toString(16)} and starts an election to get leadership.`,
      );
      // Without asking first, even with pre-vote: the leader knows that we are fit.
      campaignIfAllowed(raft, 'transfer');
      return undefined;
    case MessageType.MsgForgetLeader:
      forgetLeader(raft);
      return undefined;
    default:
      return undefined;
  }
}

function hearLeader(raft: Raft, message: Message): void {
  raft.electionElapsed = 0;
  raft.leader = message.from;
}

function forwardProposal(raft: Raft, message: Message): RaftError | undefined {
  const { logger, name } = raft;
  if (raft.leader === noNode) {
    logger.info?.(`${name} no leader at term ${raft.term}; dropping proposal`);
    return proposalDropped;
  }
  if (raft.settings.disableProposalForwarding) {
    logger.info?.(
      `${name} not forwarding to leader ${raft.leader.toString(16)} at term ${raft.term}; dropping proposal`,
    );
    return proposalDropped;
  }
  raft.send(forwarded(message, raft.leader));
  return undefined;
}

/**
 * Somebody knows that the leader is gone: from now on we vote for others, without a campaign of our own. Not with lease-based reads, which
 * count on followers that keep to their leader.
 */
function forgetLeader(raft: Raft): void {
  if (raft.settings.readOnly === 'lease-based') {
    raft.logger.error?.('ignoring MsgForgetLeader due to ReadOnlyLeaseBased');
    return;
  }
  if (raft.leader === noNode) return;
  raft.logger.info?.(`${raft.name} forgetting leader ${raft.leader.toString(16)} at term ${raft.term}`);
  raft.leader = noNode;
}
