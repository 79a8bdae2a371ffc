/**
 * One member of a raft group, as its server drives it: messages, ticks and proposals in; `ready()` out. It never calls anybody, never
 * waits, and does nothing between two calls.
 *
 *     node.tick(); node.step(message); node.propose(data);
 *     if (node.hasReady()) { const ready = node.ready(); ... node.advance(); }
 *
 * With `asyncStorageWrites` there is no `advance()`: the responses that the storage messages carry go into `step()`. See `ready.ts`.
 */
import {
  ConfChange,
  ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
} from '#api-etcd/gen/raft.ts';
import { assert } from '#std/assert.ts';
import { entriesBytes } from './entry-size.ts';
import { type RaftError, stepLocalMessage, stepPeerNotFound } from './error.ts';
import { applyConfChange } from './membership.ts';
import { draft, isLocalMessage, isLocalTarget, isResponse, noNode } from './message.ts';
import { type RaftOptions, settingsOf } from './options.ts';
import type { NodeId } from './quorum.ts';
import { Raft, type RaftState } from './raft.ts';
import {
  appliedResponse,
  needsStable,
  type Ready,
  type SoftState,
  stableResponse,
  storageAppend,
  storageApply,
} from './ready.ts';
import { reportSnapshot, reportUnreachable } from './report.ts';
import { type FoundingMember, foundGroup, startRaft } from './start.ts';
import { type Status, statusOf } from './status.ts';
import { campaign, step, tick } from './step.ts';

export class RawNode {
  /** The state machine itself: for tests and for who shows it to people. */
  readonly raft: Raft;
  readonly #async: boolean;
  // What was handed out last.
  #leader: NodeId;
  #state: RaftState;
  #term: number;
  #vote: NodeId;
  #commit: number;
  /** What `advance()` tells the member: the answers that its storage would have sent. */
  #onAdvance: Message[] = [];

  constructor(options: RaftOptions) {
    const settings = settingsOf(options);
    const raft = new Raft(settings);
    this.raft = raft;
    this.#async = settings.asyncStorageWrites;
    startRaft(raft);
    this.#leader = raft.leader;
    this.#state = raft.state;
    this.#term = raft.term;
    this.#vote = raft.vote;
    this.#commit = raft.log.committed;
  }

  /**
   * Founds a group in an empty storage: the log begins with one entry for each member, committed. Every founding member does the same with the
   * same members in the same order.
   */
  bootstrap(members: readonly FoundingMember[]): void {
    foundGroup(this.raft, members);
    // The hard state was never written: it is news, whatever it is.
    this.#term = 0;
    this.#vote = noNode;
    this.#commit = 0;
  }

  /** Time has passed: see `electionTicks` and `heartbeatTicks`. */
  tick(): void {
    tick(this.raft);
  }

  /** Takes a message from another member, or a response from our own storage. The error is for whoever sent it. */
  step(message: Message): RaftError | undefined {
    if (!isLocalTarget(message.from)) {
      if (isLocalMessage(message.type)) return stepLocalMessage;
      if (isResponse(message.type) && this.raft.tracker.get(message.from) === undefined) return stepPeerNotFound;
    }
    return step(this.raft, message);
  }

  /** Proposes an entry. No error does not mean that it will be committed, only that it is on its way. */
  propose(data: Uint8Array): RaftError | undefined {
    return this.#propose([{ type: EntryType.EntryNormal, term: 0, index: 0, data }]);
  }

  /** Proposes entries that go together: all in this order without others between them, or none. At least one. */
  proposeBatch(datas: readonly Uint8Array[]): RaftError | undefined {
    const entries: Entry[] = [];
    for (let i = 0; i < datas.length; i++)
      entries.push({ type: EntryType.EntryNormal, term: 0, index: 0, data: datas[i] });
    return this.#propose(entries);
  }

  /** Proposes a change of membership. A leader that finds it improper now makes an empty entry of it. */
  proposeConfChange(change: ConfChange | ConfChangeV2): RaftError | undefined {
    const entry: Entry =
      'changes' in change
        ? { type: EntryType.EntryConfChangeV2, term: 0, index: 0, data: ConfChangeV2.encode(change) }
        : { type: EntryType.EntryConfChange, term: 0, index: 0, data: ConfChange.encode(change) };
    return this.#propose([entry]);
  }

  #propose(entries: readonly Entry[]): RaftError | undefined {
    const message = draft(MessageType.MsgProp, noNode);
    message.from = this.raft.id;
    message.entries = entries;
    return step(this.raft, message);
  }

  /**
   * A committed change of membership takes effect, when its entry is applied; the configuration is kept with the state. A change that
   * the application refuses has `nodeId` 0. Throws `ConfChangeError` for one that does not fit the configuration.
   */
  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    return applyConfChange(this.raft, change);
  }

  /** Asks for an index to read at; the answer comes as a `ReadState` with this context, or not at all. */
  readIndex(context: Uint8Array): void {
    const request = draft(MessageType.MsgReadIndex, noNode);
    request.entries = [{ type: EntryType.EntryNormal, term: 0, index: 0, data: context }];
    step(this.raft, request);
  }

  /** The leader hands over to `target`; a follower tells the leader to. Whether it happened shows in the soft state. */
  transferLeader(target: NodeId): void {
    const request = draft(MessageType.MsgTransferLeader, noNode);
    request.from = target;
    step(this.raft, request);
  }

  /** Campaigns now, whatever the timeout. */
  campaign(): void {
    campaign(this.raft);
  }

  /** A follower takes its leader for gone: it votes for who asks, and does not campaign earlier for it. */
  forgetLeader(): void {
    step(this.raft, draft(MessageType.MsgForgetLeader, noNode));
  }

  /** The last messages to `id` may not have arrived. */
  reportUnreachable(id: NodeId): void {
    reportUnreachable(this.raft, id);
  }

  /** The snapshot sent to `id` has arrived and been applied, or not. */
  reportSnapshot(id: NodeId, arrived: boolean): void {
    reportSnapshot(this.raft, id, arrived);
  }

  hasReady(): boolean {
    const { raft } = this;
    const { log, messages, messagesAfterAppend, readStates } = raft;
    return (
      messages.length > 0 ||
      messagesAfterAppend.length > 0 ||
      log.unstable.hasNextEntries ||
      log.hasNextCommitted(!this.#async) ||
      this.#hardStateChanged() ||
      this.#softStateChanged() ||
      log.unstable.nextSnapshot() !== undefined ||
      readStates.length > 0
    );
  }

  #softStateChanged(): boolean {
    return this.raft.leader !== this.#leader || this.raft.state !== this.#state;
  }

  #hardStateChanged(): boolean {
    const { term, vote, log } = this.raft;
    return log.committed !== this.#commit || term !== this.#term || vote !== this.#vote;
  }

  /** Hands out everything there is to do. It must be done: the next `ready()` goes on from there. */
  ready(): Ready {
    const { raft } = this;
    const { log, messages } = raft;
    const afterAppend = raft.messagesAfterAppend;
    const entries = log.unstable.nextEntries();
    const committedEntries = log.nextCommitted(!this.#async);
    const snapshot = log.unstable.nextSnapshot();
    const mustSync = entries.length > 0 || raft.vote !== this.#vote || raft.term !== this.#term;
    const softState = this.#takeSoftState();
    const hardState = this.#takeHardState();
    if (this.#async) {
      if (entries.length > 0 || hardState !== undefined || snapshot !== undefined || afterAppend.length > 0)
        messages.push(storageAppend(raft, entries, hardState, snapshot, afterAppend));
      if (committedEntries.length > 0) messages.push(storageApply(raft, committedEntries));
    } else {
      assert(this.#onAdvance.length === 0, 'two accepted Ready structs without call to Advance');
      for (const message of afterAppend) (message.to === raft.id ? this.#onAdvance : messages).push(message);
      if (needsStable(raft, snapshot)) this.#onAdvance.push(stableResponse(raft, snapshot));
      if (committedEntries.length > 0) this.#onAdvance.push(appliedResponse(raft, committedEntries));
    }
    const { readStates } = raft;
    raft.messages = [];
    raft.messagesAfterAppend = [];
    if (readStates.length > 0) raft.readStates = [];
    log.unstable.acceptInProgress();
    if (committedEntries.length > 0) {
      const last = committedEntries[committedEntries.length - 1]!.index;
      log.acceptApplying(last, entriesBytes(committedEntries), !this.#async);
    }
    return { softState, hardState, readStates, entries, snapshot, committedEntries, messages, mustSync };
  }

  #takeSoftState(): SoftState | undefined {
    if (!this.#softStateChanged()) return undefined;
    const { leader, state } = this.raft;
    this.#leader = leader;
    this.#state = state;
    return { leader, state };
  }

  #takeHardState(): HardState | undefined {
    if (!this.#hardStateChanged()) return undefined;
    const { term, vote, log } = this.raft;
    this.#term = term;
    this.#vote = vote;
    this.#commit = log.committed;
    return { term, vote, commit: log.committed };
  }

  /** Everything in the last `Ready` has been done. Not with asynchronous storage writes. */
  advance(): void {
    assert(!this.#async, 'Advance must not be called when using AsyncStorageWrites');
    const messages = this.#onAdvance;
    this.#onAdvance = [];
    for (const message of messages) step(this.raft, message);
  }

  get id(): NodeId {
    return this.raft.id;
  }

  get term(): number {
    return this.raft.term;
  }

  get vote(): NodeId {
    return this.raft.vote;
  }

  /** 0 while unknown. */
  get leader(): NodeId {
    return this.raft.leader;
  }

  get state(): RaftState {
    return this.raft.state;
  }

  get commit(): number {
    return this.raft.log.committed;
  }

  get applied(): number {
    return this.raft.log.applied;
  }

  /** The end of the log, on disk or not. */
  get lastIndex(): number {
    return this.raft.log.lastIndex();
  }

  /** 0 when leadership is not being handed over. */
  get leadTransferee(): NodeId {
    return this.raft.leadTransferee;
  }

  get isLearner(): boolean {
    return this.raft.isLearner;
  }

  status(): Status {
    return statusOf(this.raft);
  }
}
