/**
 * What a member's folder holds, without changing a byte of it: for whoever must choose which copy of a cluster's data to go on with after its
 * quorum is lost.
 */
import type { Disk } from '#host/disk.ts';
import { walFileBytesDefault } from '#storage/wal/wal.ts';
import type { ClusterMember } from '../cluster/members.ts';
import { planForcedCluster } from '../replica/force-new-cluster.ts';
import { openFolder } from '../replica/open.ts';
import { readingOnly } from './reading-only.ts';

export interface Survey {
  readonly dataDir: string;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Of the newest entry of its log: the higher pair (term, index) of two copies has everything that the other has. */
  readonly lastTerm: number;
  readonly lastIndex: number;
  /** Up to here the folder knows that a quorum had it. */
  readonly commitIndex: number;
  /** Of the store, with the whole log in it. */
  readonly revision: number;
  readonly members: readonly ClusterMember[];
  /** Members that a cluster which goes on with this copy alone leaves behind. */
  readonly removed: readonly bigint[];
  /** Entries of which nobody can say any more whether a quorum had them. They are kept. */
  readonly uncertain: number;
}

/** @throws LockedError while the member runs; WalError, BboltError for damaged files; Error when it holds no member */
export async function survey(disk: Disk, dataDir: string): Promise<Survey> {
  if ((await disk.list(`${dataDir}/member/wal`)).length === 0) throw new Error(`${dataDir} holds no member`);
  await using _ = await disk.lock(`${dataDir}/member/lock`);
  const folder = await openFolder(readingOnly(disk), dataDir, walFileBytesDefault);
  await folder.wal[Symbol.asyncDispose]();
  const { machine, removed, uncertain } = planForcedCluster(folder);
  const last = folder.entries.at(-1) ?? folder.before;
  return {
    dataDir,
    memberId: folder.metadata.nodeID,
    clusterId: folder.metadata.clusterID,
    lastTerm: last.term,
    lastIndex: last.index,
    commitIndex: folder.hardState.commit,
    revision: machine.store.revision,
    members: machine.members.all(),
    removed,
    uncertain,
  };
}

/** The copy that has everything the others have: Raft's own rule for who may lead (paper, 5.4.1). */
export function bestCopy(surveys: readonly Survey[]): Survey {
  return [...surveys].sort((a, b) => b.lastTerm - a.lastTerm || b.lastIndex - a.lastIndex)[0]!;
}
