/**
 * Raft at work: the loop that carries what the state machine of `#raft` says to the disk, to the other members and to whoever applies,
 * and what they answer back. Everything that happens in one turn of the event loop is handled together at its end: proposals of a
 * hundred clients become one message, one write, one sync.
 *
 * It knows nothing of keys or clients: entries are bytes here.
 */

import { etcdError } from '#api-etcd/errors.ts';
import {
  ConfChange,
  ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  HardState,
  type Message,
  MessageType,
  type Snapshot,
} from '#api-etcd/gen/raft.ts';
import { nextTurn } from '#host/event-loop.ts';
import { appendThread, applyThread, noNode } from '#raft/message.ts';
import { RawNode } from '#raft/raw-node.ts';
import type { Status } from '#raft/status.ts';
import type { Clock, Timer } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { PeerNetwork } from '../peers/peer-network.ts';
import type { ReplicaLog } from './log.ts';
import type { LogWriter } from './log-writer.ts';

/** What a member does with what was agreed on, and is told of. */
export interface ReplicaEvents {
  /** An entry with a request in it, or the empty one that begins a term; in order of their indexes. */
  apply(entry: Entry): void;
  /** Whether a change of membership may be made; an entry whose change may not be is one that does nothing. */
  mayChange(change: ConfChange): boolean;
  /** A change is not made: its entry is applied all the same, and reads wait for no more. */
  refused(place: Entry): void;
  /** A change is made: who votes now. */
  changed(change: ConfChange | ConfChangeV2, confState: ConfState, place: Entry): void;
  /** Everything that is committed by now is applied. */
  applied(): void;
  leaderChanged(leader: bigint): void;
  /** Whether somebody still waits for the request. */
  isWanted(id: bigint): boolean;
  /** The state as of this read request is committed: see `reads.ts`. */
  readConfirmed(context: Uint8Array, index: number): void;
  /** A follower needs the state: what goes to it instead of `message`. */
  sendSnapshot(message: Message): void;
}

export interface ReplicaOptions {
  readonly memberId: bigint;
  readonly log: ReplicaLog;
  readonly writer: LogWriter;
  readonly network: PeerNetwork | undefined;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly events: ReplicaEvents;
  /** Of the saved state. */
  readonly appliedIndex: number;
  /** `--heartbeat-interval`: a leader is heard every tick. */
  readonly tickMs: number;
  /** `--election-timeout` in ticks. */
  readonly electionTicks: number;
  readonly preVote: boolean;
}

/** Upstream's figures: entries in one message, messages on their way to one follower. */
const messageBytesMax = 1 << 20;
const inflightMessagesMax = 512;
/** What a follower may have unanswered. */
const inflightBytesMax = 64 << 20;
/** Proposals of a leader that has lost its quorum: more are turned away. */
const uncommittedBytesMax = 256 << 20;
/** Entries that are applied in one turn of the event loop: a few milliseconds. */
const entriesPerTurn = 1000;

export class Replica implements AsyncDisposable {
  readonly #options: ReplicaOptions;
  readonly #node: RawNode;
  #proposals: Uint8Array[] = [];
  /** Of the requests in them. */
  #proposalIds: bigint[] = [];
  /** Entries to apply, in order, with what to tell raft when they are. */
  readonly #applying: Message[] = [];
  #applyAt = 0;
  /** Proposals have waited for a leader. */
  #held = false;
  /** The last proposal that went to each leader whose successor has not applied anything yet; in order of terms. */
  #handed: { readonly term: number; readonly leader: bigint; lastId: bigint }[] = [];
  #scheduled = false;
  #leader: bigint = noNode;
  /** Has called its early election, or need not. */
  #calledEarly: boolean;
  #appliedIndex: number;
  #tick: Timer | undefined;
  #stopped = false;

  constructor(options: ReplicaOptions) {
    const { memberId, log, prng, appliedIndex, electionTicks, preVote } = options;
    this.#options = options;
    this.#appliedIndex = appliedIndex;
    // Only a pre-vote leaves a leader alone that this member has not heard of yet.
    this.#calledEarly = !preVote;
    this.#node = new RawNode({
      id: memberId,
      storage: log,
      prng,
      electionTicks,
      heartbeatTicks: 1,
      applied: appliedIndex,
      asyncStorageWrites: true,
      checkQuorum: true,
      preVote,
      messageBytesMax,
      inflightMessagesMax,
      inflightBytesMax,
      uncommittedBytesMax,
      committedBytesMax: 8 << 20,
    });
  }

  /** What a leader knows of a member; undefined on others. */
  progress(id: bigint): { readonly match: number; readonly recentActive: boolean } | undefined {
    return this.isLeader ? this.#node.raft.tracker.get(id) : undefined;
  }

  /** For people. */
  status(): Status {
    return this.#node.status();
  }

  get term(): number {
    return this.#node.term;
  }

  /** 0 while nobody is known to lead. */
  get leader(): bigint {
    return this.#leader;
  }

  get isLeader(): boolean {
    return this.#leader === this.#options.memberId;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get committedIndex(): number {
    return this.#node.commit;
  }

  /** The only voter, with nobody who listens: what is on its disk is agreed on. */
  get isAlone(): boolean {
    const { incoming, outgoing, learners } = this.#node.raft.tracker.configuration;
    return incoming.length === 1 && outgoing.length === 0 && learners.length === 0;
  }

  /** Proposals that no leader has taken yet. */
  get proposalsHeld(): number {
    return this.#proposals.length;
  }

  start(): void {
    this.#schedule();
    this.#armTick();
  }

  /**
   * An entry for the log. When nobody leads, or the leader cannot be reached, it waits for who will, as long as somebody waits for the
   * entry: what is sent to one that is dead is lost, and must not be sent again to the next, as nobody knows that it is.
   */
  propose(id: bigint, data: Uint8Array): void {
    this.#proposals.push(data);
    this.#proposalIds.push(id);
    this.#schedule();
  }

  /**
   * An entry for the log while this member leads: nobody else is asked, now or later.
   * @throws RpcError when it does not lead, or takes nothing
   */
  proposeHere(data: Uint8Array): void {
    if (this.#node.leader !== this.#options.memberId || this.#node.proposeBatch([data]) !== undefined)
      throw etcdError('notLeader');
    this.#schedule();
  }

  /** @throws RpcError when there is no leader that would take it */
  proposeChange(change: ConfChange): void {
    if (this.#node.proposeConfChange(change) !== undefined) throw etcdError('noLeader');
    this.#schedule();
  }

  /** Asks the leader for a read index. Answered by `readConfirmed`, or not. */
  askReadIndex(context: Uint8Array): void {
    this.#node.readIndex(context);
    this.#schedule();
  }

  transferLeader(target: bigint): void {
    this.#node.transferLeader(target);
    this.#schedule();
  }

  /** A message from another member. */
  receive(message: Message): void {
    if (this.#stopped) return;
    // What is refused comes from somebody who is no member (any more), or cannot be taken now: raft sends again.
    this.#node.step(message);
    this.#schedule();
  }

  reportUnreachable(id: bigint): void {
    if (this.#stopped) return;
    this.#node.reportUnreachable(id);
    this.#schedule();
  }

  reportSnapshot(id: bigint, ok: boolean): void {
    if (this.#stopped) return;
    this.#node.reportSnapshot(id, ok);
    this.#schedule();
  }

  /**
   * The state was replaced by one that came from the leader. Entries before it that wait to be applied are passed over, and answered: raft
   * counts what it has handed out.
   */
  restarted(index: number): void {
    this.#appliedIndex = index;
    this.#applyAt = 0;
    for (const { responses } of this.#applying.splice(0)) this.#answer(responses);
  }

  /** Ends the loop; what is on its way to the disk arrives. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#tick?.[Symbol.dispose]();
    await this.#options.writer.flushed();
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    void nextTurn().then(() => {
      this.#scheduled = false;
      if (!this.#stopped) this.#process();
    });
  }

  /** Ticks are for what others must hear of us, or we of them: whoever is alone needs none. */
  #armTick(): void {
    if (this.#tick !== undefined || this.#stopped) return;
    this.#tick = this.#options.clock.after(this.#options.tickMs, () => {
      this.#tick = undefined;
      if (!(this.isAlone && this.isLeader)) {
        this.#callEarly();
        this.#node.tick();
      }
      this.#schedule();
      if (!(this.isAlone && this.isLeader)) this.#armTick();
    });
  }

  #process(): void {
    if (this.isAlone && this.#leader === noNode && this.#node.state === 'StateFollower') {
      const [voter] = this.#node.raft.tracker.configuration.incoming;
      // Nobody else could be elected.
      if (voter === this.#options.memberId) this.#node.campaign();
    }
    this.#takeProposals();
    while (this.#node.hasReady() && !this.#stopped) {
      const { readStates, messages } = this.#node.ready();
      this.#noteLeader();
      for (const { context, index } of readStates)
        if (context !== undefined) this.#options.events.readConfirmed(context, index);
      this.#carry(messages);
      this.#takeProposals();
    }
    this.#applyReady();
    if (!this.isAlone) this.#armTick();
  }

  #takeProposals(): void {
    if (this.#proposals.length === 0) return;
    if (!this.#reachesLeader()) {
      this.#held = true;
      return;
    }
    if (this.#held) this.#forgetGivenUp();
    if (this.#proposals.length === 0) return;
    // Refused while leadership is handed over, or too much is uncommitted: they are tried again with the next tick.
    this.#held = this.#node.proposeBatch(this.#proposals) !== undefined;
    if (this.#held) return;
    this.#noteHanded(this.#proposalIds.at(-1)!);
    this.#proposals = [];
    this.#proposalIds = [];
  }

  #noteHanded(id: bigint): void {
    const { term, leader } = this.#node;
    const last = this.#handed.at(-1);
    if (last?.term === term) last.lastId = id;
    else this.#handed.push({ term, leader, lastId: id });
  }

  /**
   * Something of a new term is applied: whatever the leader before had passed on is applied, too. What went to one that cannot be reached now and has not come
   * back is lost, or will come too late for anybody to wait for it.
   * @returns the last proposal of that kind; undefined when there is none
   */
  lostBefore(term: number): bigint | undefined {
    let lost: bigint | undefined;
    for (let first = this.#handed[0]; first !== undefined && first.term < term; first = this.#handed[0]) {
      const { memberId, network } = this.#options;
      if (first.leader !== memberId && network?.reaches(first.leader) === false) lost = first.lastId;
      this.#handed.shift();
    }
    return lost;
  }

  #reachesLeader(): boolean {
    const { leader } = this.#node;
    if (leader === noNode) return false;
    const { memberId, network } = this.#options;
    return leader === memberId || network === undefined || network.reaches(leader);
  }

  /**
   * When all of a cluster start, nobody waits for a timeout to find out that nobody leads: the first of them by id asks for votes once it
   * reaches enough of the others. (upstream, to the same end, lets most of the first timeout pass: --initial-election-tick-advance)
   */
  #callEarly(): void {
    if (this.#calledEarly) return;
    const { memberId, network } = this.#options;
    const { incoming, outgoing } = this.#node.raft.tracker.configuration;
    const first = incoming.every((id) => memberId <= id);
    if (this.#leader !== noNode || !first || outgoing.length > 0) {
      this.#calledEarly = this.#leader !== noNode || incoming.length > 0;
      return;
    }
    const reached = incoming.filter((id) => id === memberId || network?.reaches(id) === true);
    if (reached.length <= incoming.length / 2) return;
    this.#calledEarly = true;
    this.#node.campaign();
  }

  /** A client that was told of a timeout must not see its write happen minutes later. */
  #forgetGivenUp(): void {
    const { isWanted } = this.#options.events;
    const ids = this.#proposalIds;
    this.#proposals = this.#proposals.filter((_, i) => isWanted(ids[i]!));
    this.#proposalIds = ids.filter(isWanted);
  }

  #noteLeader(): void {
    const { leader } = this.#node;
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#options.events.leaderChanged(leader);
  }

  #carry(messages: readonly Message[]): void {
    const outgoing: Message[] = [];
    for (const message of messages) {
      if (message.to === appendThread) this.#write(message);
      else if (message.to === applyThread) this.#applying.push(message);
      else if (message.type === MessageType.MsgSnap) this.#options.events.sendSnapshot(message);
      else outgoing.push(message);
    }
    if (outgoing.length > 0) this.#options.network?.send(outgoing);
  }

  #write({ entries, snapshot, responses, term, vote, commit }: Message): void {
    const { writer, log } = this.#options;
    writer.write({
      entries,
      snapshot,
      hardState: term === 0 ? undefined : HardState.create({ term, vote, commit }),
      done: () => {
        if (snapshot !== undefined) log.restart(placeOf(snapshot));
        log.append(entries);
        this.#answer(responses);
      },
    });
  }

  /** What storage was to say when it is done: to raft itself, or to other members. */
  #answer(responses: readonly Message[]): void {
    const outgoing: Message[] = [];
    for (const response of responses) {
      if (response.to === this.#options.memberId) this.#node.step(response);
      else outgoing.push(response);
    }
    if (outgoing.length > 0) this.#options.network?.send(outgoing);
    this.#schedule();
  }

  #applyReady(): void {
    const { log, events } = this.#options;
    let count = 0;
    for (let message = this.#applying[0]; message !== undefined; message = this.#applying[0]) {
      for (; this.#applyAt < message.entries.length; this.#applyAt++) {
        // The rest of a large batch in the next turn, which `#schedule` brings.
        if (++count > entriesPerTurn) {
          this.#schedule();
          return;
        }
        this.#apply(message.entries[this.#applyAt]!);
      }
      this.#applying.shift();
      this.#applyAt = 0;
      log.trim(this.#appliedIndex, !this.isAlone);
      this.#answer(message.responses);
    }
    if (count > 0) events.applied();
  }

  #apply(entry: Entry): void {
    const { events } = this.#options;
    const { type, index, data } = entry;
    // What the saved state has already, after a state that came from the leader.
    if (index <= this.#appliedIndex) return;
    switch (type) {
      case EntryType.EntryNormal:
        events.apply(entry);
        break;
      case EntryType.EntryConfChange: {
        const change = ConfChange.decode(data ?? new Uint8Array(0));
        const may = events.mayChange(change);
        const confState = this.#node.applyConfChange(may ? change : { ...change, nodeId: noNode });
        if (may) events.changed(change, confState, entry);
        else events.refused(entry);
        break;
      }
      case EntryType.EntryConfChangeV2: {
        const change = ConfChangeV2.decode(data ?? new Uint8Array(0));
        events.changed(change, this.#node.applyConfChange(change), entry);
        break;
      }
    }
    this.#appliedIndex = index;
  }
}

function placeOf({ metadata: { index, term } }: Snapshot): { readonly index: number; readonly term: number } {
  return { index, term };
}
