/**
 * Voters, and the joint configuration of two sets of them: while membership changes, the incoming and the outgoing majority must both
 * agree on every commit and every election. An empty outgoing set is an ordinary configuration.
 */
import { committedIndex, type NodeId, type VoteResult, voteResult } from './quorum.ts';

/** A set of members, immutable, in ascending order of id: what is derived from it is the same on every member. */
export type NodeSet = readonly NodeId[];

export const noNodes: NodeSet = Object.freeze([]);

/** Sorted and without duplicates. */
export function nodeSet(ids: Iterable<NodeId>): NodeSet {
  return [...new Set(ids)].sort(compareIds);
}

export function withNode(set: NodeSet, id: NodeId): NodeSet {
  return set.includes(id) ? set : [...set, id].sort(compareIds);
}

export function withoutNode(set: NodeSet, id: NodeId): NodeSet {
  return set.includes(id) ? set.filter((each) => each !== id) : set;
}

function compareIds(a: NodeId, b: NodeId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What has been heard from a voter; undefined counts as nothing. */
export type AckedIndex = (id: NodeId) => number | undefined;

export interface JointVoters {
  readonly incoming: NodeSet;
  readonly outgoing: NodeSet;
}

/** The highest index that both majorities have reached. */
export function jointCommittedIndex(voters: JointVoters, acked: AckedIndex, scratch: Float64Array): number {
  return Math.min(
    setCommittedIndex(voters.incoming, acked, scratch),
    setCommittedIndex(voters.outgoing, acked, scratch),
  );
}

function setCommittedIndex(set: NodeSet, acked: AckedIndex, scratch: Float64Array): number {
  for (let i = 0; i < set.length; i++) scratch[i] = acked(set[i]!) ?? 0;
  return committedIndex(scratch, set.length);
}

/** Votes by voter: true granted, false rejected, undefined not heard. */
export type Votes = Pick<ReadonlyMap<NodeId, boolean>, 'get'>;

/** Won when both majorities have won, lost when either has lost. */
export function jointVoteResult(voters: JointVoters, votes: Votes): VoteResult {
  const incoming = setVoteResult(voters.incoming, votes);
  const outgoing = setVoteResult(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === 'VoteLost' || outgoing === 'VoteLost' ? 'VoteLost' : 'VotePending';
}

function setVoteResult(set: NodeSet, votes: Votes): VoteResult {
  let granted = 0;
  let rejected = 0;
  for (const id of set) {
    const vote = votes.get(id);
    if (vote === true) granted++;
    else if (vote === false) rejected++;
  }
  return voteResult(set.length, granted, rejected);
}
