/**
 * Saves a member's state beside its log, so that the log can be cut: the backend file, then the raft snapshot that says where it stands.
 * Each file replaces the one before it whole; a crash in between leaves the older state and the log after it.
 */
import type { Disk } from '#host/disk.ts';
import { nextTurn } from '#host/event-loop.ts';
import { joinPieces } from '#std/bytes.ts';
import { PagedBbolt } from '#storage/bbolt/read-paged.ts';
import type { Machine } from '../machine.ts';
import type { LogPlace } from '../replica/log.ts';
import { backendFile, readBackend, sliceBytes } from './backend.ts';
import { snapshotFile, snapshotFileName } from './v2-snapshot.ts';

/** Raft snapshots kept, the newest ones. */
const snapshotFilesMax = 2;

/** @param machine a fork: nobody changes it meanwhile */
export async function saveCheckpoint(options: {
  readonly disk: Disk;
  /** `member/snap`. */
  readonly folder: string;
  readonly machine: Machine;
  readonly applied: LogPlace;
}): Promise<void> {
  const { disk, folder, machine, applied } = options;
  await disk.makeFolder(folder);
  const file = await backendFile(machine, applied);
  await replaceFile(disk, `${folder}/db`, joinPieces(file.pages(), sliceBytes));
  await replaceFile(disk, `${folder}/${snapshotFileName(applied)}`, [snapshotFile(machine, applied)]);
  await disk.syncFolder(folder);
}

/** Removes what newer states have replaced. @param savedIndex of the newest */
export async function removeOldSnapshots(disk: Disk, folder: string, savedIndex: number): Promise<void> {
  const all = await disk.list(folder);
  // States that came from a leader and that raft did not want. One that is further on may just have arrived, and wait to be installed.
  for (const name of all)
    if (name.endsWith('.snap.db') && Number.parseInt(name, 16) <= savedIndex) await disk.remove(`${folder}/${name}`);
  const names = all.filter((name) => name.endsWith('.snap'));
  for (const name of names.slice(0, -snapshotFilesMax)) await disk.remove(`${folder}/${name}`);
}

/** The state saved last; undefined when there is none. @throws as {@link readBackend} */
export async function loadCheckpoint(
  disk: Disk,
  folder: string,
): Promise<{ readonly machine: Machine; readonly applied: LogPlace } | undefined> {
  if (!(await disk.list(folder)).includes('db')) return undefined;
  await using file = await disk.open(`${folder}/db`);
  if ((await file.read(0, 1)).length === 0) return undefined;
  return await readBackend(await PagedBbolt.open((position, length, room) => file.read(position, length, room)));
}

/** Writes a file beside the one it replaces, a piece each turn of the event loop. */
export async function replaceFile(
  disk: Disk,
  path: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const fresh = `${path}.tmp`;
  await disk.remove(fresh);
  const file = await disk.open(fresh);
  try {
    let at = 0;
    for await (const piece of pieces) {
      await file.write(piece, at);
      at += piece.length;
      await nextTurn();
    }
    await file.sync();
  } finally {
    await file[Symbol.asyncDispose]();
  }
  await disk.rename(fresh, path);
}
