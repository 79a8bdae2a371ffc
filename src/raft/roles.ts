/** The four roles and the ways from one to another. */
import { assert } from '#std/assert.ts';
import { noNode } from './message.ts';
import type { NodeId } from './quorum.ts';
import { emptyEntry, type Raft } from './raft.ts';
import { appendEntries } from './replication.ts';

/** `leader` is `noNode` while it is not known. */
export function becomeFollower(raft: Raft, term: number, leader: NodeId): void {
  raft.reset(term);
  raft.leader = leader;
  raft.state = 'StateFollower';
  raft.logger.info?.(`${raft.name} became follower at term ${raft.term}`);
}

/** Asks whether an election would be won. Nothing that others could see changes: neither term nor vote. */
export function becomePreCandidate(raft: Raft): void {
  assert(raft.state !== 'StateLeader', 'invalid transition [leader -> pre-candidate]');
  raft.votes.clear();
  raft.leader = noNode;
  raft.state = 'StatePreCandidate';
  raft.logger.info?.(`${raft.name} became pre-candidate at term ${raft.term}`);
}

/** Begins a new term and votes for itself. */
export function becomeCandidate(raft: Raft): void {
  assert(raft.state !== 'StateLeader', 'invalid transition [leader -> candidate]');
  raft.reset(raft.term + 1);
  raft.vote = raft.id;
  raft.state = 'StateCandidate';
  raft.logger.info?.(`${raft.name} became candidate at term ${raft.term}`);
}

export function becomeLeader(raft: Raft): void {
  assert(raft.state !== 'StateFollower', 'invalid transition [follower -> leader]');
  raft.reset(raft.term);
  raft.leader = raft.id;
  raft.state = 'StateLeader';
  const own = raft.tracker.get(raft.id);
  assert(own !== undefined, 'a leader is a member');
  own.becomeReplicate();
  own.recentActive = true;
  // There may be a change of membership in the log that is not applied yet. Looking for it could be long: wait for all of it.
  raft.pendingConfIndex = raft.log.lastIndex();
  assert(appendEntries(raft, [emptyEntry]), 'empty entry was dropped');
  raft.logger.info?.(`${raft.name} became leader at term ${raft.term}`);
}
