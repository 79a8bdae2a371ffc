/** Elections (Raft, 5.2 and 5.4.1; dissertation, 3.10, 9.6): campaigning, being asked for a vote, counting votes. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { assert } from '#std/assert.ts';
import { equalBytes, utf8Encode } from '#std/bytes.ts';
import { jointVoteResult, nodeSet } from './joint.ts';
import { draft, messageTypeName, noNode } from './message.ts';
import type { NodeId } from './quorum.ts';
import type { Raft } from './raft.ts';
import { broadcastAppend } from './replication.ts';
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts';

/** Why a member campaigns; `transfer` because the leader told it to. */
export type Campaign = 'pre-election' | 'election' | 'transfer';

/** What a vote request carries when the leader itself wants us elected: its lease does not count then. */
const transferContext = utf8Encode('CampaignTransfer');

/** The election timeout has passed, or somebody wants a campaign now. Not every member may. */
export function campaignIfAllowed(raft: Raft, campaign: Campaign): void {
  const { logger, name } = raft;
  if (raft.state === 'StateLeader') {
    logger.debug?.(`${name} ignoring MsgHup because already leader`);
    return;
  }
  if (!raft.promotable) {
    logger.warning?.(`${name} is unpromotable and can not campaign`);
    return;
  }
  if (hasUnappliedConfChange(raft)) {
    logger.warning?.(
      `${name} cannot campaign at term ${raft.term} since there are still pending configuration changes to apply`,
    );
    return;
  }
  logger.info?.(`${name} is starting a new election at term ${raft.term}`);
  startCampaign(raft, campaign);
}

/** What is committed but not applied may make others the voters. Read in pages, as it is when it is applied. */
function hasUnappliedConfChange({ log, settings }: Raft): boolean {
  for (let index = log.applied + 1; index <= log.committed; ) {
    const entries = log.slice(index, log.committed + 1, settings.committedBytesMax);
    assert(entries !== undefined && entries.length > 0, `error scanning unapplied entries from ${index}`);
    for (const { type } of entries) if (type !== 0) return true;
    index += entries.length;
  }
  return false;
}

function startCampaign(raft: Raft, campaign: Campaign): void {
  const pre = campaign === 'pre-election';
  if (pre) becomePreCandidate(raft);
  else becomeCandidate(raft);
  const type = pre ? MessageType.MsgPreVote : MessageType.MsgVote;
  const term = pre ? raft.term + 1 : raft.term;
  const { incoming, outgoing } = raft.tracker.configuration;
  const lastIndex = raft.log.lastIndex();
  const lastTerm = raft.log.lastTerm();
  for (const id of nodeSet([...incoming, ...outgoing])) {
    if (id === raft.id) {
      // Our own vote counts when it is on disk, too.
      const vote = draft(responseTo(type), id);
      vote.term = term;
      raft.send(vote);
      continue;
    }
    raft.logger.info?.(
      `${raft.name} [logterm: ${lastTerm}, index: ${lastIndex}] sent ${messageTypeName(type)} request to ${id.toString(16)} at term ${raft.term}`,
    );
    const request = draft(type, id);
    request.term = term;
    request.index = lastIndex;
    request.logTerm = lastTerm;
    if (campaign === 'transfer') request.context = transferContext;
    raft.send(request);
  }
}

function responseTo(type: MessageType): MessageType {
  return type === MessageType.MsgPreVote ? MessageType.MsgPreVoteResp : MessageType.MsgVoteResp;
}

/**
 * Whether to ignore a vote request of a newer term: with check-quorum, a follower that has heard from its leader within the election
 * timeout knows that there is no need (Raft, 6; dissertation, 4.2.3), unless the leader itself is going.
 */
export function isLeased(raft: Raft, request: Message): boolean {
  const { settings, log } = raft;
  if (request.context !== undefined && equalBytes(request.context, transferContext)) return false;
  const leased = settings.checkQuorum && raft.leader !== noNode && raft.electionElapsed < settings.electionTicks;
  if (leased)
    raft.logger.info?.(
      `${raft.name} [logterm: ${log.lastTerm()}, index: ${log.lastIndex()}, vote: ${raft.vote.toString(16)}] ignored ${describeRequest(request)} at term ${raft.term}: lease is not expired (remaining ticks: ${settings.electionTicks - raft.electionElapsed})`,
    );
  return leased;
}

/**
 * Answers a request for a vote, or for a pre-vote, which binds nobody. Learners vote too: who asks may know before we do that we have
 * become a voter.
 */
export function answerVoteRequest(raft: Raft, request: Message): void {
  const { log } = raft;
  const pre = request.type === MessageType.MsgPreVote;
  const free =
    raft.vote === request.from || (raft.vote === noNode && raft.leader === noNode) || (pre && request.term > raft.term);
  if (!free || !log.isUpToDate(request.index, request.logTerm)) {
    refuseVote(raft, request);
    return;
  }
  raft.logger.info?.(
    `${raft.name} [logterm: ${log.lastTerm()}, index: ${log.lastIndex()}, vote: ${raft.vote.toString(16)}] cast ${messageTypeName(request.type)} for ${request.from.toString(16)} [logterm: ${request.logTerm}, index: ${request.index}] at term ${raft.term}`,
  );
  const response = draft(responseTo(request.type), request.from);
  // The term of the request: for a pre-vote it is not ours, and the candidate would take ours for old news.
  response.term = request.term;
  raft.send(response);
  if (pre) return;
  raft.electionElapsed = 0;
  raft.vote = request.from;
}

/** Refuses with our own term, from which the candidate learns that it is behind. */
export function refuseVote(raft: Raft, request: Message): void {
  const { log } = raft;
  raft.logger.info?.(
    `${raft.name} [logterm: ${log.lastTerm()}, index: ${log.lastIndex()}, vote: ${raft.vote.toString(16)}] rejected ${describeRequest(request)} at term ${raft.term}`,
  );
  const response = draft(responseTo(request.type), request.from);
  response.term = raft.term;
  response.reject = true;
  raft.send(response);
}

function describeRequest({ type, from, logTerm, index }: Message): string {
  return `${messageTypeName(type)} from ${from.toString(16)} [logterm: ${logTerm}, index: ${index}]`;
}

/** Counts a vote that came for what we are campaigning for. */
export function countVote(raft: Raft, { type, from, reject }: Message): void {
  const kind = messageTypeName(type);
  raft.logger.info?.(
    `${raft.name} received ${kind}${reject ? ' rejection' : ''} from ${from.toString(16)} at term ${raft.term}`,
  );
  // The first answer stands.
  if (!raft.votes.has(from)) raft.votes.set(from, !reject);
  raft.logger.info?.(
    `${raft.name} has received ${votesOf(raft, true)} ${kind} votes and ${votesOf(raft, false)} vote rejections`,
  );
  switch (jointVoteResult(raft.tracker.configuration, raft.votes)) {
    case 'VoteWon':
      if (raft.state === 'StatePreCandidate') startCampaign(raft, 'election');
      else {
        becomeLeader(raft);
        broadcastAppend(raft);
      }
      break;
    case 'VoteLost':
      becomeFollower(raft, raft.term, noNode);
      break;
    case 'VotePending':
      break;
  }
}

function votesOf(raft: Raft, granted: boolean): number {
  const voters = raft.tracker.members.filter(([, progress]) => !progress.isLearner);
  return voters.filter(([id]: readonly [NodeId, unknown]) => raft.votes.get(id) === granted).length;
}
