/**
 * The state of one member: its term and vote, its role, its log, what it believes of the others, and what it has to say. The rules stand
 * in files of their own, by role and by subject; they share this record and its outbox. Pure: time comes in as ticks, the network as messages.
 *
 * Terms follow the Raft paper and dissertation; behaviour is that of etcd-io/raft 3.7.
 */
import { type Entry, type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { fail } from '#std/assert.ts';
import { below } from '#std/prng.ts';
import { RaftLog } from './log.ts';
import type { RaftLogger } from './logger.ts';
import { type Draft, draft, messageTypeName, noNode } from './message.ts';
import type { RaftSettings } from './options.ts';
import type { NodeId } from './quorum.ts';
import { ReadQueue } from './read-queue.ts';
import { Tracker } from './tracker.ts';

/** Named as upstream prints them. */
export type RaftState = 'StateFollower' | 'StatePreCandidate' | 'StateCandidate' | 'StateLeader';

/** The answer to a ReadIndex: the state as of `index` is as new as anything that was acknowledged before the request. */
export interface ReadState {
  readonly index: number;
  /** What the request was given, to tell requests apart. */
  readonly context: Uint8Array | undefined;
}

export class Raft {
  readonly id: NodeId;
  /** As log lines show members. */
  readonly name: string;
  readonly settings: RaftSettings;
  readonly logger: RaftLogger;
  readonly log: RaftLog;
  tracker: Tracker;

  term = 0;
  vote: NodeId = noNode;
  state: RaftState = 'StateFollower';
  leader: NodeId = noNode;

  /** Ticks since the election timeout last began: for a follower, since its leader was last heard. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** From `electionTicks` to twice that, drawn anew whenever the role or term changes. */
  randomizedElectionTimeout = 0;

  /** A candidate's ballot; who is no voter has no effect on the result. */
  readonly votes = new Map<NodeId, boolean>();

  /** Leader: to whom leadership is being handed. */
  leadTransferee: NodeId = noNode;
  /** Leader: no change of membership is proposed before this index has been applied. It may be higher than it need be. */
  pendingConfIndex = 0;
  /** Leader: bytes of data proposed in this term and not yet applied; may be too low, never too high. */
  uncommittedBytes = 0;
  /** Leader: ReadIndex requests that wait for a majority to say that we lead. */
  reads = new ReadQueue();
  /** Leader: ReadIndex requests that wait for the first commit of the term. */
  pendingReads: Message[] = [];

  /** To be sent at once. */
  messages: Message[] = [];
  /** To be sent when everything that has changed so far is on disk: votes and confirmations of appends, some to ourselves. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];

  constructor(settings: RaftSettings) {
    this.id = settings.id;
    this.name = settings.id.toString(16);
    this.settings = settings;
    this.logger = settings.logger;
    this.log = new RaftLog(settings.storage, settings.logger, settings.committedBytesMax);
    this.tracker = new Tracker(settings.inflightMessagesMax, settings.inflightBytesMax);
  }

  get isLearner(): boolean {
    return this.tracker.get(this.id)?.isLearner === true;
  }

  /** Whether this member may become leader: it is a voter, and its log is not about to be replaced. */
  get promotable(): boolean {
    const progress = this.tracker.get(this.id);
    return progress !== undefined && !progress.isLearner && this.log.unstable.snapshot === undefined;
  }

  /** A new term, or a new role in it: everything that belongs to the old one is forgotten. */
  reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = noNode;
    }
    this.leader = noNode;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.randomizedElectionTimeout =
      this.settings.electionTicks + below(this.settings.prng, this.settings.electionTicks);
    this.leadTransferee = noNode;
    this.votes.clear();
    const last = this.log.lastIndex();
    for (const [id, progress] of this.tracker.members) progress.reset(last + 1, id === this.id ? last : 0);
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.reads = new ReadQueue();
  }

  /**
   * Puts a message in the outbox. The term is ours, but for votes, which say for which term they are, and for what is only
   * carried to the leader, whatever its term.
   *
   * A vote or the confirmation of an append may only be seen by others when what it speaks of is on disk (Raft dissertation, 3.8): those
   * wait, rejections too, for what was refused may be refused because of something that is not on disk yet.
   */
  send(message: Draft): void {
    if (message.from === noNode) message.from = this.id;
    switch (message.type) {
      case MessageType.MsgVote:
      case MessageType.MsgPreVote:
        if (message.term === 0) fail(`term should be set when sending ${messageTypeName(message.type)}`);
        break;
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        if (message.term === 0) fail(`term should be set when sending ${messageTypeName(message.type)}`);
        this.messagesAfterAppend.push(message);
        return;
      case MessageType.MsgAppResp:
        message.term = this.term;
        this.messagesAfterAppend.push(message);
        return;
      case MessageType.MsgProp:
      case MessageType.MsgReadIndex:
        break;
      default:
        message.term = this.term;
    }
    if (message.to === this.id)
      fail(`message should not be self-addressed when sending ${messageTypeName(message.type)}`);
    this.messages.push(message);
  }

  /** Confirms an append up to `index` to `to`: the leader, or ourselves. */
  sendAppendResponse(to: NodeId, index: number): void {
    const response = draft(MessageType.MsgAppResp, to);
    response.index = index;
    this.send(response);
  }

  /** Whether the log holds something committed in our own term: only then does a leader know all that is committed (Raft, 5.4.2). */
  get committedInTerm(): boolean {
    return this.log.matchTerm(this.log.committed, this.term);
  }
}

/** A normal entry without data. */
export const emptyEntry: Entry = Object.freeze({ type: 0, term: 0, index: 0, data: undefined });
