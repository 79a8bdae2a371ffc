/**
 * A cluster that has lost its quorum for good begins anew with the one member whose folder this is: its whole log counts as committed, and all other
 * members are removed by entries after it. (upstream: --force-new-cluster, server/etcdserver/bootstrap.go)
 *
 * Upstream drops entries that the folder does not know to be committed. They may have been: a follower learns late what a quorum has, and whoever
 * wrote them was told so. A leader with this log would commit them, so this does.
 */
import { ConfChange, ConfChangeType, Entry, EntryType, HardState } from '#api-etcd/gen/raft.ts';
import { changeContextJson } from '../cluster/member-json.ts';
import type { Machine } from '../machine.ts';
import type { OpenFolder } from './open.ts';
import { replayed } from './replay.ts';

export interface ForcedCluster {
  /** The state with the whole log in it, and all members still. */
  readonly machine: Machine;
  /** Ids of the members that are left behind. */
  readonly removed: readonly bigint[];
  /** Entries of which this folder does not know whether they were committed. */
  readonly uncertain: number;
  /** To be written after what is there. */
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** What it would take; changes nothing. @throws Error for the folder of somebody who is no member */
export function planForcedCluster(folder: OpenFolder): ForcedCluster {
  const { nodeID: memberId } = folder.metadata;
  const { hardState } = folder;
  const machine = replayed(folder);
  const members = machine.members.all();
  const own = machine.members.get(memberId);
  const removed = members.map(({ id }) => id).filter((id) => id !== memberId);
  const changes: Omit<ConfChange, 'id'>[] = [];
  if (own === undefined)
    throw new Error(`member ${memberId.toString(16)} is not, or no longer, part of the cluster in this folder`);
  // Whoever has no vote gets one first: somebody must be left.
  if (own.isLearner)
    changes.push({
      type: ConfChangeType.ConfChangeAddNode,
      nodeId: memberId,
      context: changeContextJson({ ...own, isLearner: false }, true),
    });
  for (const nodeId of removed) changes.push({ type: ConfChangeType.ConfChangeRemoveNode, nodeId, context: undefined });
  const lastIndex = folder.entries.at(-1)?.index ?? folder.before.index;
  const entries = changes.map((change, i) =>
    Entry.create({
      type: EntryType.EntryConfChange,
      term: hardState.term,
      index: lastIndex + 1 + i,
      data: ConfChange.encode({ id: 0n, ...change }),
    }),
  );
  return {
    machine,
    removed,
    uncertain: folder.entries.filter(({ index }) => index > hardState.commit).length,
    entries,
    hardState: HardState.create({ ...hardState, commit: lastIndex + entries.length }),
  };
}

/** Writes it down. The folder is then that of a cluster of one. */
export async function forceNewCluster(folder: OpenFolder): Promise<OpenFolder> {
  const { entries, hardState } = planForcedCluster(folder);
  await folder.wal.append(entries, hardState);
  return { ...folder, entries: [...folder.entries, ...entries], hardState };
}
