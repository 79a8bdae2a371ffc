/** What raft's traces print: messages, entries, Ready, in upstream's words. Members in messages are hexadecimal, everything else decimal. */
import {
  ConfChange,
  ConfChangeType,
  ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  type Snapshot,
} from '#api-etcd/gen/raft.ts';
import { asConfChangeV2 } from '#raft/membership.ts';
import { appendThread, applyThread, messageTypeName, noNode } from '#raft/message.ts';
import type { ReadState } from '#raft/raft.ts';
import type { Ready } from '#raft/ready.ts';

export function describeReady(ready: Ready): string {
  const { softState, hardState, readStates, entries, snapshot, committedEntries, messages, mustSync } = ready;
  let text = '';
  if (softState !== undefined) text += `Lead:${softState.leader} State:${softState.state}\n`;
  if (hardState !== undefined) text += `HardState ${describeHardState(hardState)}\n`;
  if (readStates.length > 0) text += `ReadStates [${readStates.map(describeReadState).join(' ')}]\n`;
  if (entries.length > 0) text += `Entries:\n${describeEntries(entries)}`;
  if (snapshot !== undefined) text += `Snapshot ${describeSnapshot(snapshot)}\n`;
  if (committedEntries.length > 0) text += `CommittedEntries:\n${describeEntries(committedEntries)}`;
  if (messages.length > 0) text += `Messages:\n${messages.map((message) => `${describeMessage(message)}\n`).join('')}`;
  return text === '' ? '<empty Ready>' : `Ready MustSync=${mustSync}:\n${text}`;
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === noNode ? '' : ` Vote:${vote}`} Commit:${commit}`;
}

function describeReadState({ index, context }: ReadState): string {
  return `{${index} [${[...(context ?? [])].join(' ')}]}`;
}

function describeSnapshot({ metadata: { index, term, confState } }: Snapshot): string {
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`;
}

function describeConfState({ voters, votersOutgoing, learners, learnersNext, autoLeave }: ConfState): string {
  const list = (ids: readonly bigint[]) => `[${ids.join(' ')}]`;
  return `Voters:${list(voters)} VotersOutgoing:${list(votersOutgoing)} Learners:${list(learners)} LearnersNext:${list(learnersNext)} AutoLeave:${autoLeave}`;
}

/** One line, or several when there is more than one entry, a snapshot, or responses. */
export function describeMessage(message: Message, indent = ''): string {
  const { from, to, type, term, logTerm, index, reject, rejectHint, commit, vote, entries, snapshot, responses } =
    message;
  let text = `${indent}${target(from)}->${target(to)} ${messageTypeName(type)} Term:${term} Log:${logTerm}/${index}`;
  if (reject) text += ` Rejected (Hint: ${rejectHint})`;
  if (commit !== 0) text += ` Commit:${commit}`;
  if (vote !== noNode) text += ` Vote:${vote}`;
  if (entries.length === 1) text += ` Entries:[${describeEntry(entries[0]!)}]`;
  else if (entries.length > 1)
    text += ` Entries:[${entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`).join('')}\n${indent}]`;
  if (snapshot !== undefined && snapshot.metadata.index !== 0)
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  if (responses.length > 0)
    text += ` Responses:[${responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`).join('')}\n${indent}]`;
  return text;
}

function target(id: bigint): string {
  if (id === noNode) return 'None';
  if (id === appendThread) return 'AppendThread';
  return id === applyThread ? 'ApplyThread' : id.toString(16);
}

/** A line for each. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join('');
}

const entryTypes = Object.keys(EntryType);

function describeEntry({ type, term, index, data }: Entry): string {
  const what = describeData(type, data ?? new Uint8Array(0));
  return `${term}/${index} ${entryTypes[type]}${what === '' ? '' : ` ${what}`}`;
}

function describeData(type: EntryType, data: Uint8Array): string {
  switch (type) {
    case EntryType.EntryConfChange:
      return describeChanges(asConfChangeV2(ConfChange.decode(data)));
    case EntryType.EntryConfChangeV2:
      return describeChanges(ConfChangeV2.decode(data));
    default:
      return JSON.stringify(Buffer.from(data).toString('latin1'));
  }
}

const letters: ReadonlyMap<ConfChangeType, string> = new Map([
  [ConfChangeType.ConfChangeAddNode, 'v'],
  [ConfChangeType.ConfChangeAddLearnerNode, 'l'],
  [ConfChangeType.ConfChangeRemoveNode, 'r'],
  [ConfChangeType.ConfChangeUpdateNode, 'u'],
]);

function describeChanges({ changes }: ConfChangeV2): string {
  return changes.map(({ type, nodeId }) => `${letters.get(type) ?? 'unknown'}${nodeId}`).join(' ');
}

/** The inverse: `v1 l2 r3 u4`. */
export function parseChanges(text: string): ConfChangeV2['changes'] {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => {
      const type = [...letters].find(([, letter]) => letter === word[0])?.[0];
      if (type === undefined) throw new Error(`unknown input: ${word}`);
      return { type, nodeId: BigInt(word.slice(1)) };
    });
}
