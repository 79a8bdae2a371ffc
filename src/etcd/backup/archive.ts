/**
 * A backup archive as it stands in its folder: which bases and segments belong together, and which revisions can be restored from them.
 * Reading never changes it.
 */
import type { Disk } from '#host/disk.ts';
import { ArchiveError, type BaseFile, type Listing, listArchive, type SegmentFile } from './names.ts';
import { readSegment, type SegmentContent } from './segment.ts';

/** As much of a disk as reading takes. */
export type ReadingDisk = Pick<Disk, 'list' | 'read'>;

/** Segments without a gap between them, oldest first, and the bases that they go on from. */
export interface Chain {
  readonly segments: readonly (SegmentFile & { readonly last: number })[];
  readonly bases: readonly BaseFile[];
  /** Revisions that can be restored; undefined without a base. */
  readonly restorable: { readonly first: number; readonly last: number } | undefined;
}

/** All that an archive's folder says, and its newest segment. */
export interface Archive {
  readonly folder: string;
  readonly listing: Listing;
  readonly chains: readonly Chain[];
  /** Where the open segment is cut, if it is. */
  readonly torn: { readonly path: string; readonly at: number } | undefined;
  /** Milliseconds since 1970: up to then the archive has seen everything that is in it. Undefined without a segment. */
  readonly seenMs: number | undefined;
}

/** The highest revision that the archive has seen, whether it can be restored or not; 0 when it is empty. */
export function seenRevision({ chains }: Archive): number {
  return Math.max(
    0,
    ...chains.flatMap(({ segments, bases }) => [segments.at(-1)?.last ?? 0, bases.at(-1)?.revision ?? 0]),
  );
}

/** @throws ArchiveError when there is none, or its newest segment is damaged */
export async function openArchive(disk: ReadingDisk, folder: string): Promise<Archive> {
  const listing = await listArchive(disk, folder);
  if (listing.bases.length === 0 && listing.segments.length === 0)
    throw new ArchiveError(`${folder} holds no backup archive`);
  let torn: Archive['torn'];
  let seenMs: number | undefined;
  const segments: (SegmentFile & { readonly last: number })[] = [];
  for (const [i, segment] of listing.segments.entries()) {
    const isNewest = i === listing.segments.length - 1;
    // What older ones hold is in their names.
    if (!isNewest && segment.last !== undefined) {
      segments.push({ ...segment, last: segment.last });
      continue;
    }
    const content = await contentOf(disk, folder, segment);
    if (content.torn) torn = { path: `${folder}/${segment.name}`, at: content.wholeBytes };
    if (isNewest) seenMs = content.batches.at(-1)?.timeMs ?? content.start.timeMs;
    segments.push({ ...segment, last: segment.last ?? lastOf(segment, content) });
  }
  return { folder, listing, chains: chainsOf(listing.bases, segments), torn, seenMs };
}

/** What a segment holds: every revision that its name says. @throws ArchiveError naming the file, and the place in it where it is damaged */
export async function contentOf(disk: ReadingDisk, folder: string, segment: SegmentFile): Promise<SegmentContent> {
  const path = `${folder}/${segment.name}`;
  const bytes = await disk.read(path);
  if (bytes === undefined) throw new ArchiveError(`${path} is gone`);
  const content = readSegment(bytes, path, segment.name.endsWith('.open'));
  if (content.start.firstRevision !== segment.first)
    throw new ArchiveError(`${path}: it begins with revision ${content.start.firstRevision}, its name says another`);
  let expected = segment.first;
  for (const { changes } of content.batches)
    for (const { revision } of changes)
      if (revision !== expected++) throw new ArchiveError(`${path}: revision ${expected - 1} is missing`);
  if (segment.last !== undefined && segment.last !== expected - 1)
    throw new ArchiveError(`${path}: it ends with revision ${expected - 1}, its name says another`);
  return content;
}

function lastOf({ first }: SegmentFile, { batches }: SegmentContent): number {
  return batches.reduce((last, { changes }) => changes.at(-1)?.revision ?? last, first - 1);
}

function chainsOf(bases: readonly BaseFile[], segments: Chain['segments']): readonly Chain[] {
  const rows: (SegmentFile & { readonly last: number })[][] = [];
  for (const segment of segments) {
    const row = rows.at(-1);
    if (row !== undefined && row.at(-1)!.last + 1 === segment.first) row.push(segment);
    else rows.push([segment]);
  }
  const taken = new Set<BaseFile>();
  const chains = rows.map((row): Chain => {
    const [first, last] = [row[0]!.first, row.at(-1)!.last];
    // One that was taken just now may be ahead of what has been seen.
    const its = bases.filter(({ revision }) => revision >= first - 1 && (revision <= last || row === rows.at(-1)));
    for (const base of its) taken.add(base);
    return chainOf(row, its, last);
  });
  const alone = bases.filter((base) => !taken.has(base)).map((base) => chainOf([], [base], base.revision));
  return [...alone, ...chains].sort((a, b) => startOf(a) - startOf(b));
}

function chainOf(segments: Chain['segments'], bases: readonly BaseFile[], last: number): Chain {
  const [oldest] = bases;
  if (oldest === undefined) return { segments, bases, restorable: undefined };
  const to = bases.some(({ revision }) => revision > last) ? Math.max(...bases.map(({ revision }) => revision)) : last;
  return { segments, bases, restorable: { first: oldest.revision, last: to } };
}

function startOf({ segments, bases }: Chain): number {
  return segments[0]?.first ?? bases[0]!.revision;
}

/** What can be restored, in words. */
export function restorableText({ chains }: Archive): string {
  const ranges = chains.flatMap(({ restorable }) => restorable ?? []);
  if (ranges.length === 0) return 'nothing can be restored yet: no base is complete';
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first} to ${last}`)).join(', ');
}
