/** The revision that a snapshot is of, read from its file a page at a time: a base may be larger than memory. */
import type { Disk } from '#host/disk.ts';
import { PagedBbolt } from '#storage/bbolt/read-paged.ts';

/** A store that was never written is at this revision. */
const firstRevision = 1;

/** @throws BboltError for a damaged file */
export async function revisionOfSnapshot(disk: Disk, path: string): Promise<number> {
  await using file = await disk.open(path);
  const bbolt = await PagedBbolt.open((position, length) => file.read(position, length));
  const revisions = [firstRevision];
  const revisionIn = (bytes: Uint8Array) => Number(Buffer.from(bytes).readBigUInt64BE(0));
  const last = await bbolt.last('key');
  if (last !== undefined && last.key.length >= 8) revisions.push(revisionIn(last.key));
  // The last change may be a deletion that a compaction at that very revision has dropped.
  for (const { key, value } of await bbolt.pairs('meta'))
    if (/^(finished|scheduled)CompactRev$/.test(Buffer.from(key).toString()) && value.length >= 8)
      revisions.push(revisionIn(value));
  return Math.max(...revisions);
}
