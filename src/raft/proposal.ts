/** A leader takes proposals. Changes of membership are checked against the configuration it knows: one at a time is under way. */
import { ConfChange, ConfChangeV2, type Entry, EntryType } from '#api-etcd/gen/raft.ts';
import { fail } from '#std/assert.ts';
import { describeConfiguration, isJoint } from './configuration.ts';
import { describeConfChange } from './describe-change.ts';
import { proposalDropped, type RaftError } from './error.ts';
import { asConfChangeV2 } from './membership.ts';
import { noNode } from './message.ts';
import { emptyEntry, type Raft } from './raft.ts';
import { appendEntries, broadcastAppend } from './replication.ts';

/** Appends entries, of which only type and data count, and sends them out. */
export function propose(raft: Raft, entries: readonly Entry[]): RaftError | undefined {
  if (entries.length === 0) fail(`${raft.name} stepped empty MsgProp`);
  // A leader that was removed appends nothing more.
  if (raft.tracker.get(raft.id) === undefined) return proposalDropped;
  if (raft.leadTransferee !== noNode) {
    raft.logger.debug?.(
      `${raft.name} [term ${raft.term}] transfer leadership to ${raft.leadTransferee.toString(16)} is in progress; dropping proposal`,
    );
    return proposalDropped;
  }
  if (!appendEntries(raft, withoutImproperChanges(raft, entries))) return proposalDropped;
  broadcastAppend(raft);
  return undefined;
}

/** A change that may not be made now becomes an empty entry: whoever proposed it sees that nothing came of it. */
function withoutImproperChanges(raft: Raft, entries: readonly Entry[]): readonly Entry[] {
  let checked: Entry[] | undefined;
  for (let i = 0; i < entries.length; i++) {
    if (entries[i]!.type === EntryType.EntryNormal) continue;
    const change = decodeConfChange(entries[i]!);
    const problem = problemOf(raft, change);
    if (problem === undefined || raft.settings.disableConfChangeValidation) {
      raft.pendingConfIndex = raft.log.lastIndex() + i + 1;
      continue;
    }
    const { configuration } = raft.tracker;
    raft.logger.info?.(
      `${raft.name} ignoring conf change ${describeConfChange(change)} at config ${describeConfiguration(configuration)}: ${problem}`,
    );
    checked ??= entries.slice();
    checked[i] = emptyEntry;
  }
  return checked ?? entries;
}

/** The change that an entry of one of the two types for them carries. */
export function decodeConfChange({ type, data }: Entry): ConfChangeV2 {
  const bytes = data ?? new Uint8Array(0);
  return type === EntryType.EntryConfChange ? asConfChangeV2(ConfChange.decode(bytes)) : ConfChangeV2.decode(bytes);
}

function problemOf({ log, tracker, pendingConfIndex }: Raft, { changes }: ConfChangeV2): string | undefined {
  if (pendingConfIndex > log.applied)
    return `possible unapplied conf change at index ${pendingConfIndex} (applied to ${log.applied})`;
  const joint = isJoint(tracker.configuration);
  if (joint && changes.length > 0) return 'must transition out of joint config first';
  if (!joint && changes.length === 0) return 'not in joint state; refusing empty conf change';
  return undefined;
}
