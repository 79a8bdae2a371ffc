/** What has become stable, and what has been applied: the answers of a member's own storage. */
import { type Entry, EntryType, type Message, type Snapshot } from '#api-etcd/gen/raft.ts';
import { describeConfiguration } from './configuration.ts';
import { entriesBytes, payloadBytes } from './entry-size.ts';
import { propose } from './proposal.ts';
import type { Raft } from './raft.ts';

/** Entries up to (`index`, `logTerm`), if any, are on disk; and a snapshot, if any, is on disk and applied. */
export function handleStable(raft: Raft, message: Message): void {
  if (message.index !== 0) raft.log.unstable.stableTo(message.index, message.logTerm);
  if (message.snapshot !== undefined) appliedSnapshot(raft, message.snapshot);
}

export function appliedSnapshot(raft: Raft, snapshot: Snapshot): void {
  raft.log.unstable.stableSnapshotTo(snapshot.metadata.index);
  appliedTo(raft, snapshot.metadata.index, 0);
}

/** The entries of the message have been applied. */
export function handleApplied(raft: Raft, { entries }: Message): void {
  if (entries.length === 0) return;
  appliedTo(raft, entries[entries.length - 1]!.index, entriesBytes(entries));
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - payloadBytes(entries));
}

/** Without data, so that no limit can refuse it; it decodes as a change without changes. */
const leaveJointEntry: Entry = Object.freeze({
  type: EntryType.EntryConfChangeV2,
  term: 0,
  index: 0,
  data: undefined,
});

function appliedTo(raft: Raft, index: number, bytes: number): void {
  const { log, logger } = raft;
  log.appliedTo(Math.max(index, log.applied), bytes);
  const { configuration } = raft.tracker;
  if (!configuration.autoLeave || raft.state !== 'StateLeader' || log.applied < raft.pendingConfIndex) return;
  // It may be refused while leadership is being handed over. Then it is tried again with the next entry, or by the next leader.
  const error = propose(raft, [leaveJointEntry]);
  const what = `automatic transition out of joint configuration ${describeConfiguration(configuration)}`;
  if (error === undefined) logger.info?.(`initiating ${what}`);
  else logger.debug?.(`not initiating ${what}: ${error.message}`);
}
