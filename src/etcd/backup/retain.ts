/**
 * What an archive needs no more: whatever lies before the newest base that is old enough. Everything younger can still be restored, revision by
 * revision; the oldest files go first, so that a crash leaves no gap.
 */
import type { Disk } from '#host/disk.ts';
import { type Listing, listArchive } from './names.ts';

/** Names of files that may go. @param keepFromMs everything since must be restorable */
export function unneeded({ bases, segments }: Listing, keepFromMs: number): readonly string[] {
  const covering = bases.findLast(({ timeMs }) => timeMs <= keepFromMs);
  if (covering === undefined) return [];
  return [
    ...segments.filter(({ last }) => last !== undefined && last <= covering.revision),
    ...bases.filter((base) => base !== covering && base.revision <= covering.revision),
  ].map(({ name }) => name);
}

/** @returns how many files went */
export async function dropUnneeded(disk: Disk, folder: string, keepFromMs: number): Promise<number> {
  const names = unneeded(await listArchive(disk, folder), keepFromMs);
  for (const name of names) await disk.remove(`${folder}/${name}`);
  if (names.length > 0) await disk.syncFolder(folder);
  return names.length;
}
