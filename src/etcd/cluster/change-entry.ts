/** Changes of membership as entries of the log. */
import { ConfChange, ConfChangeType, Entry, EntryType } from '#api-etcd/gen/raft.ts';
import { memberJson } from './member-json.ts';
import type { ClusterMember } from './members.ts';

/**
 * The first entries of a new cluster: its members join, in ascending order of their ids. Every member writes the same ones by itself,
 * in term 1, and counts them as committed.
 */
export function firstEntries(members: readonly ClusterMember[]): Entry[] {
  return members.map((member, i) => {
    const change = ConfChange.create({
      id: 0n,
      type: ConfChangeType.ConfChangeAddNode,
      nodeId: member.id,
      context: memberJson(member),
    });
    return Entry.create({ type: EntryType.EntryConfChange, term: 1, index: i + 1, data: ConfChange.encode(change) });
  });
}
