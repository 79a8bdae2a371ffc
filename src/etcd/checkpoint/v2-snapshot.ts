/**
 * The `.snap` file beside a checkpoint: members up to 3.7 look there for who belongs to the cluster before they open the backend. Its
 * content is the state of etcd's old v2 store, of which only the members and the version are left.
 */
import { Snapshot as RaftSnapshot, SnapshotMetadata } from '#api-etcd/gen/raft.ts';
import { Snapshot as SnapshotFile } from '#api-etcd/gen/snap.ts';
import { crc32c } from '#std/crc32c.ts';
import type { ClusterMember, Members } from '../cluster/members.ts';
import type { Machine } from '../machine.ts';
import type { LogPlace } from '../replica/log.ts';
import { clusterVersion as ownVersion } from '../version.ts';

export function snapshotFileName({ term, index }: LogPlace): string {
  const hex = (value: number) => value.toString(16).padStart(16, '0');
  return `${hex(term)}-${hex(index)}.snap`;
}

export function snapshotFile(machine: Machine, place: LogPlace): Buffer {
  const data = RaftSnapshot.encode(raftSnapshot(machine, place));
  return SnapshotFile.encode(SnapshotFile.create({ crc: crc32c(data), data }));
}

/** What a leader sends before the backend file, and what the `.snap` file holds. */
export function raftSnapshot({ members, clusterVersion, confState }: Machine, { index, term }: LogPlace): RaftSnapshot {
  return RaftSnapshot.create({
    data: Buffer.from(JSON.stringify(v2Store(members, clusterVersion || ownVersion))),
    metadata: SnapshotMetadata.create({ confState, index, term }),
  });
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

function v2Store(members: Members, version: string): unknown {
  const root = folder('/', 0, {
    0: folder('/0', 0, {
      members: folder('/0/members', 1, Object.fromEntries(members.all().map((member) => memberNode(member)))),
      ...(members.removedIds.length > 0 && {
        removed_members: folder(
          '/0/removed_members',
          1,
          Object.fromEntries(
            members.removedIds.map((id) => [id.toString(16), leaf(`/0/removed_members/${id.toString(16)}`, 1, '{}')]),
          ),
        ),
      }),
      version: leaf('/0/version', 3, version),
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

function memberNode({ id, name, peerUrls, clientUrls, isLearner }: ClusterMember): [id: string, node: Node] {
  const digits = id.toString(16);
  const at = `/0/members/${digits}`;
  const attributes = JSON.stringify({ name, clientURLs: clientUrls });
  const raftAttributes = JSON.stringify({ peerURLs: peerUrls, ...(isLearner && { isLearner }) });
  return [
    digits,
    folder(at, 1, {
      // A member that has not started yet has none.
      ...(name !== '' && { attributes: leaf(`${at}/attributes`, 2, attributes) }),
      raftAttributes: leaf(`${at}/raftAttributes`, 1, raftAttributes),
    }),
  ];
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
