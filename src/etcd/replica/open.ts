/**
 * A member's folder at its start: the state that was saved, the log after it, and what raft must remember. A folder that holds nothing
 * yet becomes that of a member of a new cluster, or of one that joins.
 */
import { type Entry, HardState } from '#api-etcd/gen/raft.ts';
import { Metadata } from '#api-etcd/gen/server_metadata.ts';
import { Snapshot } from '#api-etcd/gen/wal.ts';
import type { Disk } from '#host/disk.ts';
import { Wal } from '#storage/wal/wal.ts';
import { loadCheckpoint } from '../checkpoint/save.ts';
import { firstEntries } from '../cluster/change-entry.ts';
import type { ClusterMember } from '../cluster/members.ts';
import { Machine } from '../machine.ts';
import { catchUpEntriesDefault, type LogPlace } from './log.ts';

export interface NewMember {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** The members that a new cluster begins with; undefined for a member that joins one. */
  readonly members: readonly ClusterMember[] | undefined;
}

export interface OpenFolder {
  readonly wal: Wal;
  readonly metadata: Metadata;
  readonly hardState: HardState;
  /** What stands in the log before `entries`. */
  readonly before: LogPlace;
  readonly entries: readonly Entry[];
  /** The state that was saved, or an empty one. */
  readonly machine: Machine;
  /** Where it stands. */
  readonly applied: LogPlace;
  /** Bytes of the entries after it. */
  readonly bytes: number;
}

export async function exists(disk: Disk, dataDir: string): Promise<boolean> {
  return Wal.exists(disk, `${dataDir}/member/wal`);
}

/** @throws WalError, BboltError for damaged files; Error when entries are missing */
export async function openFolder(
  disk: Disk,
  dataDir: string,
  walFileBytes: number,
  catchUpEntries = catchUpEntriesDefault,
): Promise<OpenFolder> {
  const saved = await loadCheckpoint(disk, `${dataDir}/member/snap`);
  const { wal, content } = await Wal.open(disk, `${dataDir}/member/wal`, walFileBytes);
  const machine = saved?.machine ?? new Machine();
  const applied = saved?.applied ?? { index: 0, term: 0 };
  const { metadata, hardState } = content;
  const [first] = content.entries;
  const last = content.entries.at(-1);
  const atLeast = (commit: number) => HardState.create({ ...hardState, commit: Math.max(hardState.commit, commit) });
  if (first === undefined || last === undefined || last.index < applied.index) {
    // The state came from the leader, and power went before the log said so.
    if (last !== undefined || (content.snapshots.at(-1)?.index ?? 0) < applied.index) {
      await wal.appendSnapshot(Snapshot.create({ ...applied, confState: machine.confState }));
    }
    const term = Math.max(hardState.term, applied.term);
    const remembered = { ...atLeast(applied.index), term };
    return { wal, metadata, hardState: remembered, before: applied, entries: [], machine, applied, bytes: 0 };
  }
  const missing = first.index - applied.index - 1;
  if (missing > 0) throw new Error(`${dataDir}: ${missing} entries between the saved state and the log are missing`);
  // Nobody else needs what a member alone has applied; each entry would hold the whole file that it was read from.
  const isAlone = machine.members.all().length <= 1;
  const from = Math.max(first.index + 1, applied.index + 1 - (isAlone ? 0 : catchUpEntries));
  // Of what comes before the first entry that is kept, only index and term count.
  const whole = first.index === applied.index + 1;
  const before = whole ? applied : content.entries[from - 1 - first.index]!;
  const entries = whole ? content.entries : content.entries.slice(from - first.index);
  const bytes = entries.reduce((sum, { index, data }) => sum + (index > applied.index ? (data?.length ?? 0) : 0), 0);
  const { index, term } = before;
  return {
    wal,
    metadata,
    hardState: atLeast(applied.index),
    before: { index, term },
    entries,
    machine,
    applied,
    bytes,
  };
}

/** Makes the folder of a new member. */
export async function createFolder(
  disk: Disk,
  dataDir: string,
  { memberId, clusterId, members }: NewMember,
  walFileBytes: number,
): Promise<OpenFolder> {
  const metadata = Metadata.create({ nodeID: memberId, clusterID: clusterId });
  const wal = await Wal.create(disk, `${dataDir}/member/wal`, metadata, walFileBytes);
  const entries = members === undefined ? [] : firstEntries(members);
  const hardState = HardState.create({ term: entries.length > 0 ? 1 : 0, vote: 0n, commit: entries.length });
  if (entries.length > 0) {
    await wal.append(entries, hardState);
  }
  const nothing = { index: 0, term: 0 };
  return { wal, metadata, hardState, before: nothing, entries, machine: new Machine(), applied: nothing, bytes: 0 };
}
