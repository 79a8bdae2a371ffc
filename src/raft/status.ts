/** What a member says of itself, for people: a copy, which allocates. What a server asks all the time are getters of `RawNode`. */
import type { Configuration } from './configuration.ts';
import type { ProgressState } from './progress.ts';
import type { NodeId } from './quorum.ts';
import type { Raft, RaftState } from './raft.ts';

export interface Status {
  readonly id: NodeId;
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly leader: NodeId;
  readonly state: RaftState;
  readonly leadTransferee: NodeId;
  readonly configuration: Configuration;
  /** What a leader knows of each member, in ascending order of id; empty on others. */
  readonly progress: ReadonlyMap<NodeId, ProgressStatus>;
}

export interface ProgressStatus {
  readonly match: number;
  readonly next: number;
  readonly state: ProgressState;
  readonly isLearner: boolean;
  readonly isPaused: boolean;
  readonly recentActive: boolean;
  readonly pendingSnapshot: number;
  readonly inflight: number;
  readonly inflightFull: boolean;
}

export function statusOf(raft: Raft): Status {
  const progress = new Map<NodeId, ProgressStatus>();
  if (raft.state === 'StateLeader')
    for (const [id, each] of raft.tracker.members) {
      const { match, next, state, isLearner, isPaused, recentActive, pendingSnapshot, inflights } = each;
      progress.set(id, {
        match,
        next,
        state,
        isLearner,
        isPaused,
        recentActive,
        pendingSnapshot,
        inflight: inflights.count,
        inflightFull: inflights.full,
      });
    }
  const { id, term, vote, leader, state, leadTransferee } = raft;
  const { committed: commit, applied } = raft.log;
  const { configuration } = raft.tracker;
  const lastIndex = raft.log.lastIndex();
  return { id, term, vote, commit, applied, lastIndex, leader, state, leadTransferee, configuration, progress };
}
