/**
 * Messages between members, and between a member and its own storage: how one is made, which are answers, which never come from the
 * network. All have the same fields in the same order as decoded ones, so that code that handles them sees one shape.
 */
import { type Entry, type Message, MessageType } from '#api-etcd/gen/raft.ts';
import type { NodeId } from './quorum.ts';

/** Nobody: no leader, no vote. */
export const noNode: NodeId = 0n;

/** Who receives MsgStorageAppend, and sends its responses: whoever writes this member's log. */
export const appendThread: NodeId = 2n ** 64n - 1n;

/** Who receives MsgStorageApply, and sends its response: whoever applies what is committed. */
export const applyThread: NodeId = 2n ** 64n - 2n;

export function isLocalTarget(id: NodeId): boolean {
  return id === appendThread || id === applyThread;
}

/** A message that is still being made. Once sent, it is immutable. */
export type Draft = { -readonly [Field in keyof Message]: Message[Field] };

const noEntries: readonly Entry[] = Object.freeze([]);
const noMessages: readonly Message[] = Object.freeze([]);

export function draft(type: MessageType, to: NodeId): Draft {
  return {
    type,
    to,
    from: noNode,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: noEntries,
    commit: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: undefined,
    vote: noNode,
    responses: noMessages,
  };
}

/** A message as it came, to somebody else. */
export function forwarded(message: Message, to: NodeId): Draft {
  const copy = draft(message.type, to);
  copy.from = message.from;
  copy.index = message.index;
  copy.entries = message.entries;
  copy.context = message.context;
  return copy;
}

/** What a member only tells itself, or hears from its own storage. */
export function isLocalMessage(type: MessageType): boolean {
  switch (type) {
    case MessageType.MsgHup:
    case MessageType.MsgBeat:
    case MessageType.MsgUnreachable:
    case MessageType.MsgSnapStatus:
    case MessageType.MsgCheckQuorum:
    case MessageType.MsgStorageAppend:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApply:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

/** What answers, or tells of, something that we sent: it only counts from a member. */
export function isResponse(type: MessageType): boolean {
  switch (type) {
    case MessageType.MsgAppResp:
    case MessageType.MsgVoteResp:
    case MessageType.MsgHeartbeatResp:
    case MessageType.MsgUnreachable:
    case MessageType.MsgReadIndexResp:
    case MessageType.MsgPreVoteResp:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

const names: readonly string[] = Object.freeze(Object.keys(MessageType));

/** `MsgApp`, as upstream prints it. */
export function messageTypeName(type: MessageType): string {
  return names[type] ?? String(type);
}
