/** Checks a base of a backup archive a piece at a time: its digest, and that it is of the revision that its name says. */
import { createHash } from 'node:crypto';
import type { Disk } from '#host/disk.ts';
import { revisionOfSnapshot } from './base-revision.ts';
import { ArchiveError, type BaseFile } from './names.ts';

const pieceBytes = 1 << 20;
const digestBytes = 32;

/** @throws ArchiveError naming the file */
export async function checkBase(disk: Disk, folder: string, { name, revision }: BaseFile): Promise<void> {
  const path = `${folder}/${name}`;
  await using file = await disk.open(path);
  const hash = createHash('sha256');
  // The end may be the digest: it is held back until there is more behind it.
  let held = Buffer.alloc(0);
  for (let at = 0; ; ) {
    const piece = await file.read(at, pieceBytes);
    if (piece.length === 0) break;
    at += piece.length;
    const joined = Buffer.concat([held, piece]);
    const sure = Math.max(0, joined.length - digestBytes);
    hash.update(joined.subarray(0, sure));
    held = joined.subarray(sure);
  }
  if (!hash.digest().equals(held)) throw new ArchiveError(`${path}: damaged: it does not match its sha256`);
  const found = await revisionOfSnapshot(disk, path);
  if (found !== revision) throw new ArchiveError(`${path}: it is of revision ${found}, its name says another`);
}
