/**
 * Makes a member's folder of a new cluster from a saved snapshot: the same keys and revisions, a new log that begins after them, ids
 * of the new member. (upstream: etcdutl snapshot restore)
 */
import { createHash } from 'node:crypto';
import { HardState } from '#api-etcd/gen/raft.ts';
import { Metadata } from '#api-etcd/gen/server_metadata.ts';
import { Snapshot } from '#api-etcd/gen/wal.ts';
import type { Disk } from '#host/disk.ts';
import { PagedBbolt, readFrom } from '#storage/bbolt/read-paged.ts';
import { Wal } from '#storage/wal/wal.ts';
import { firstEntries } from '../cluster/change-entry.ts';
import { type ClusterMember, Members } from '../cluster/members.ts';
import { clusterIdOf } from '../identity.ts';
import { Machine } from '../machine.ts';
import { confStateOf, readBackend } from './backend.ts';
import { saveCheckpoint } from './save.ts';

const digestBytes = 32;
/** Pages are whole sectors: what is left over is the digest. */
const sectorBytes = 512;

export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
}

export interface RestoreOptions {
  readonly disk: Disk;
  readonly snapshot: Buffer;
  /** Must not hold a member yet. */
  readonly dataDir: string;
  /** The members of the new cluster, all of which are restored from the same snapshot. */
  readonly members: readonly ClusterMember[];
  /** Which of them the folder is for. */
  readonly memberId: bigint;
  /** The backend file of a member has no digest. */
  readonly skipHashCheck: boolean;
  /**
   * Raises the revision by as much and compacts everything before: clients that had seen later revisions than the snapshot's learn that
   * they have to read everything again, and no revision ever means two things.
   */
  readonly bumpRevision: number;
}

/** The pages of a snapshot, without its digest. @throws SnapshotError when they do not match */
export function checkedPages(snapshot: Buffer, skipHashCheck: boolean): Buffer {
  const hasDigest = snapshot.length % sectorBytes === digestBytes;
  if (!hasDigest) {
    if (!skipHashCheck) throw new SnapshotError('snapshot missing hash but --skip-hash-check=false');
    return snapshot;
  }
  const pages = snapshot.subarray(0, -digestBytes);
  const wanted = snapshot.subarray(-digestBytes);
  const found = createHash('sha256').update(pages).digest();
  if (!skipHashCheck && !found.equals(wanted))
    throw new SnapshotError(`expected sha256 [${[...wanted].join(' ')}], got [${[...found].join(' ')}]`);
  return pages;
}

/** @throws SnapshotError, BboltError for damaged files */
export async function restoreSnapshot(options: RestoreOptions): Promise<void> {
  const pages = checkedPages(options.snapshot, options.skipHashCheck);
  const { machine: saved } = await readBackend(await PagedBbolt.open(readFrom(pages)));
  await beginCluster({ ...options, saved });
}

/** Writes a member's folder of a new cluster that begins with the keys, leases, users and alarms of `saved`. */
export async function beginCluster(
  options: Omit<RestoreOptions, 'snapshot' | 'skipHashCheck'> & { readonly saved: Machine },
): Promise<void> {
  const { disk, dataDir, members, memberId, bumpRevision, saved } = options;
  const { store, leases, alarms, auth, clusterVersion } = saved;
  if (bumpRevision > 0) {
    const revision = store.revision + bumpRevision;
    store.restore(revision, 0, false, Buffer.alloc(0));
    store.restored(store.finishedCompactRevision, revision);
  }
  const confState = confStateOf(members);
  // Who was a member before does not matter any more.
  const machine = new Machine({
    store,
    leases,
    alarms,
    auth,
    clusterVersion,
    confState,
    members: new Members(members),
  });
  const entries = firstEntries(members);
  const applied = { index: entries.length, term: 1 };
  await saveCheckpoint({ disk, folder: `${dataDir}/member/snap`, machine, applied });
  const clusterID = clusterIdOf(members.map(({ id }) => id));
  await using wal = await Wal.create(disk, `${dataDir}/member/wal`, Metadata.create({ nodeID: memberId, clusterID }));
  await wal.append(entries, HardState.create({ term: 1, vote: members[0]!.id, commit: entries.length }));
  await wal.appendSnapshot(Snapshot.create({ ...applied, confState }));
}
