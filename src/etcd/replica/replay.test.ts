/** What the log makes of a folder's state: changes of membership that were refused when they were applied stay refused. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ConfChange, ConfChangeType, Entry, EntryType } from '#api-etcd/gen/raft.ts';
import { firstEntries } from '../cluster/change-entry.ts';
import { changeContextJson } from '../cluster/member-json.ts';
import type { ClusterMember } from '../cluster/members.ts';
import { Machine } from '../machine.ts';
import type { OpenFolder } from './open.ts';
import { replayed } from './replay.ts';

const member = (id: bigint, url: string): ClusterMember => ({
  id,
  name: '',
  peerUrls: [url],
  clientUrls: [],
  isLearner: false,
});

function adding(index: number, added: ClusterMember): Entry {
  const change = ConfChange.create({
    id: BigInt(index),
    type: ConfChangeType.ConfChangeAddNode,
    nodeId: added.id,
    context: changeContextJson(added, false),
  });
  return Entry.create({ type: EntryType.EntryConfChange, term: 2, index, data: ConfChange.encode(change) });
}

test('a second member with the address of the first is none', () => {
  const entries = [
    ...firstEntries([member(1n, 'http://a:2380')]),
    adding(2, member(2n, 'http://b:2380')),
    adding(3, member(3n, 'http://b:2380')),
  ];
  const folder = { machine: new Machine(), applied: { index: 0, term: 0 }, entries } as unknown as OpenFolder;
  assert.deepEqual(
    replayed(folder)
      .members.all()
      .map(({ id }) => id),
    [1n, 2n],
  );
});
