/**
 * What a member hands out: what is to be written, applied and sent. In lockstep the caller writes `hardState`, `entries` and `snapshot`
 * to disk, then sends `messages`, then applies `committedEntries`, then calls `advance`. With asynchronous storage writes all of it
 * stands in messages to two local threads, each of which works in order and then sends the responses that the message carries; the other
 * messages are sent at once. Everything here is immutable.
 */
import { type Entry, type HardState, type Message, MessageType, type Snapshot } from '#api-etcd/gen/raft.ts';
import { appendThread, applyThread, draft } from './message.ts';
import type { NodeId } from './quorum.ts';
import type { Raft, RaftState, ReadState } from './raft.ts';

/** What need not survive. */
export interface SoftState {
  /** 0 while unknown. */
  readonly leader: NodeId;
  readonly state: RaftState;
}

export interface Ready {
  /** Undefined when it has not changed; likewise the hard state. */
  readonly softState: SoftState | undefined;
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  /** To be written over whatever is in the log from the first of them on. */
  readonly entries: readonly Entry[];
  /** To replace log and state. */
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  /** After a MsgSnap the caller reports how it went: `reportSnapshot`. */
  readonly messages: readonly Message[];
  /** Whether what is to be written must be on disk before anything else: not for a commit index alone. */
  readonly mustSync: boolean;
}

/**
 * The work of whoever writes the log: entries, snapshot, and the hard state in term, vote and commit (all 0 when there is none). It must be on disk
 * before `responses` are sent; without responses it need not be.
 */
export function storageAppend(
  raft: Raft,
  entries: readonly Entry[],
  hardState: HardState | undefined,
  snapshot: Snapshot | undefined,
  responses: Message[],
): Message {
  const message = draft(MessageType.MsgStorageAppend, appendThread);
  message.from = raft.id;
  message.entries = entries;
  if (hardState !== undefined) {
    message.term = hardState.term;
    message.vote = hardState.vote;
    message.commit = hardState.commit;
  }
  message.snapshot = snapshot;
  // Confirmations to ourselves come before the news that the entries are stable: while they are in the tail their terms are at hand.
  if (needsStable(raft, snapshot)) responses.push(stableResponse(raft, snapshot));
  message.responses = responses;
  return message;
}

/** Whether the member wants to hear that all this has been written. */
export function needsStable(raft: Raft, snapshot: Snapshot | undefined): boolean {
  return raft.log.unstable.entries.length > 0 || snapshot !== undefined;
}

/**
 * Says that everything handed out so far is on disk. It names the end of the log, not of these entries, and our term: a write of an older term
 * may have been overwritten in the tail and be overwritten on disk only later, so the tail is cut only by a response of the term that it
 * was asked for in. Every change of term is itself written, and its response, which names the end again, makes good for those ignored.
 */
export function stableResponse(raft: Raft, snapshot: Snapshot | undefined): Message {
  const response = draft(MessageType.MsgStorageAppendResp, raft.id);
  response.from = appendThread;
  response.term = raft.term;
  if (raft.log.unstable.entries.length > 0) {
    response.index = raft.log.lastIndex();
    response.logTerm = raft.log.lastTerm();
  }
  response.snapshot = snapshot;
  return response;
}

/** The work of whoever applies entries. It need not be on disk before the response is sent. */
export function storageApply(raft: Raft, entries: readonly Entry[]): Message {
  const message = draft(MessageType.MsgStorageApply, applyThread);
  message.from = raft.id;
  message.entries = entries;
  message.responses = [appliedResponse(raft, entries)];
  return message;
}

export function appliedResponse(raft: Raft, entries: readonly Entry[]): Message {
  const response = draft(MessageType.MsgStorageApplyResp, raft.id);
  response.from = applyThread;
  response.entries = entries;
  return response;
}
