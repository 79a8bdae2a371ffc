/**
 * A state that comes from the leader: the backend file arrives beside ours, under the name that upstream gives it, and takes its place once raft has
 * said that it shall.
 */
import type { Message, Snapshot as RaftSnapshot } from '#api-etcd/gen/raft.ts';
import { Snapshot as RaftSnapshotCodec } from '#api-etcd/gen/raft.ts';
import { Snapshot as SnapshotFile } from '#api-etcd/gen/snap.ts';
import type { Disk } from '#host/disk.ts';
import { crc32c } from '#std/crc32c.ts';
import { PagedBbolt } from '#storage/bbolt/read-paged.ts';
import type { Machine } from '../machine.ts';
import type { LogPlace } from '../replica/log.ts';
import { readBackend } from './backend.ts';
import { replaceFile } from './save.ts';
import { snapshotFileName } from './v2-snapshot.ts';

/** Stores the database that came with a MsgSnap. */
export async function storeDatabase(
  disk: Disk,
  folder: string,
  { snapshot }: Message,
  database: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (snapshot === undefined) throw new Error('a snapshot message without a snapshot');
  await disk.makeFolder(folder);
  await replaceFile(disk, databasePath(folder, snapshot.metadata.index), database);
  await disk.syncFolder(folder);
}

/**
 * Makes the state that was stored the member's own.
 * @throws BboltError for a damaged file; nothing has changed then
 */
export async function installSnapshot(
  disk: Disk,
  folder: string,
  snapshot: RaftSnapshot,
): Promise<{ readonly machine: Machine; readonly applied: LogPlace }> {
  const { index, term, confState } = snapshot.metadata;
  const path = databasePath(folder, index);
  if (!(await disk.list(folder)).includes(databaseName(index))) throw new Error(`${path} is gone`);
  const { machine, applied } = await readFile(disk, path);
  machine.confState = confState;
  await disk.rename(path, `${folder}/db`);
  const data = RaftSnapshotCodec.encode(snapshot);
  const framed = SnapshotFile.encode(SnapshotFile.create({ crc: crc32c(data), data }));
  await replaceFile(disk, `${folder}/${snapshotFileName({ index, term })}`, [framed]);
  await disk.syncFolder(folder);
  // The file may be a little newer than the snapshot that announced it: its entries must not be applied twice.
  return { machine, applied: applied.index > index ? applied : { index, term } };
}

async function readFile(disk: Disk, path: string) {
  await using file = await disk.open(path);
  return await readBackend(await PagedBbolt.open((position, length, room) => file.read(position, length, room)));
}

function databasePath(folder: string, index: number): string {
  return `${folder}/${databaseName(index)}`;
}

function databaseName(index: number): string {
  return `${index.toString(16).padStart(16, '0')}.snap.db`;
}
