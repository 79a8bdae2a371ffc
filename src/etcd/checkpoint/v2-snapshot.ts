/**
 * The `.snap` file beside a checkpoint: members up to 3.7 look there for who belongs to the cluster before they open the backend. Its
 * content is the state of etcd's old v2 store, of which only the members and the version are left.
 */
import { ConfState, Snapshot as RaftSnapshot, SnapshotMetadata } from '#api-etcd/gen/raft.ts';
import { Snapshot as SnapshotFile } from '#api-etcd/gen/snap.ts';
import { crc32c } from '#std/crc32c.ts';
import type { Machine } from '../machine.ts';
import type { MemberIdentity } from '../member.ts';
import { clusterVersion } from '../version.ts';
import type { AppliedPlace } from './backend.ts';

export function confStateOf({ memberId }: MemberIdentity): ConfState {
  return ConfState.create({ voters: [memberId], autoLeave: false });
}

export function snapshotFileName({ term, index }: AppliedPlace): string {
  const hex = (value: number) => value.toString(16).padStart(16, '0');
  return `${hex(term)}-${hex(index)}.snap`;
}

export function snapshotFile(machine: Machine, identity: MemberIdentity, { index, term }: AppliedPlace): Buffer {
  const data = RaftSnapshot.encode(
    RaftSnapshot.create({
      data: Buffer.from(JSON.stringify(v2Store(machine, identity))),
      metadata: SnapshotMetadata.create({ confState: confStateOf(identity), index, term }),
    }),
  );
  return SnapshotFile.encode(SnapshotFile.create({ crc: crc32c(data), data }));
}

interface Node {
  readonly Path: string;
  readonly CreatedIndex: number;
  readonly ModifiedIndex: number;
  readonly ExpireTime: string;
  readonly Value: string;
  readonly Children: Readonly<Record<string, Node>> | null;
}

/** The history of events has room for this many. */
const historyCapacity = 1000;

function v2Store(machine: Machine, { memberId, peerUrls, name, clientUrls }: MemberIdentity): unknown {
  const id = memberId.toString(16);
  const known = machine.attributes.get(memberId) ?? { name, clientUrls };
  const at = `/0/members/${id}`;
  const member = folder(at, 1, {
    attributes: leaf(`${at}/attributes`, 2, JSON.stringify({ name: known.name, clientURLs: known.clientUrls })),
    raftAttributes: leaf(`${at}/raftAttributes`, 1, JSON.stringify({ peerURLs: peerUrls })),
  });
  const root = folder('/', 0, {
    0: folder('/0', 0, {
      members: folder('/0/members', 1, { [id]: member }),
      version: leaf('/0/version', 3, machine.clusterVersion || clusterVersion),
    }),
    1: folder('/1', 0, {}),
  });
  const queue = {
    Events: Array<null>(historyCapacity).fill(null),
    Size: 0,
    Front: 0,
    Back: 0,
    Capacity: historyCapacity,
  };
  return {
    Root: root,
    WatcherHub: { EventHistory: { Queue: queue, StartIndex: 0, LastIndex: 0 } },
    CurrentIndex: 3,
    Stats: {},
    CurrentVersion: 2,
  };
}

function folder(path: string, index: number, children: Readonly<Record<string, Node>>): Node {
  return { ...leaf(path, index, ''), Children: children };
}

function leaf(path: string, index: number, value: string): Node {
  return {
    Path: path,
    CreatedIndex: index,
    ModifiedIndex: index,
    ExpireTime: '0001-01-01T00:00:00Z',
    Value: value,
    Children: null,
  };
}
