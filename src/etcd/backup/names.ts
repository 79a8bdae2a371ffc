/**
 * The files of a backup archive, by their names, which are all that has to be read to know what can be restored:
 * `base-REVISION-TIME.db` is a snapshot as `etcdctl snapshot save` writes it; `segment-FIRST-LAST.log` has every change of these revisions;
 * `segment-FIRST.open` is the one that is being written. Names that end in `.part` mean nothing yet.
 */
import type { Disk } from '#host/disk.ts';

/** A snapshot. */
export interface BaseFile {
  readonly name: string;
  /** Of its last change. */
  readonly revision: number;
  /** When it was taken: milliseconds since 1970, whole seconds. */
  readonly timeMs: number;
}

/** Changes of consecutive revisions. */
export interface SegmentFile {
  readonly name: string;
  readonly first: number;
  /** Undefined for the one that is being written. */
  readonly last: number | undefined;
}

/** The files of an archive. */
export interface Listing {
  /** By revision. */
  readonly bases: readonly BaseFile[];
  /** By revision. */
  readonly segments: readonly SegmentFile[];
}

/** An archive that cannot be used as it is: says which file, and why. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

/** Digits of the largest safe integer: names sort by revision. */
const digits = 16;
const padded = (revision: number) => String(revision).padStart(digits, '0');

/** @param timeMs milliseconds since 1970; the name has whole seconds */
export function baseName(revision: number, timeMs: number): string {
  const time = new Date(timeMs)
    .toISOString()
    .replaceAll(/[-:]/g, '')
    .replace(/\.\d+Z$/, 'Z');
  return `base-${padded(revision)}-${time}.db`;
}

/** Of a segment that is being written. */
export function openSegmentName(first: number): string {
  return `segment-${padded(first)}.open`;
}

/** Of a segment that has its end. */
export function segmentName(first: number, last: number): string {
  return `segment-${padded(first)}-${padded(last)}.log`;
}

/** What a folder holds. Other files are left alone. */
export async function listArchive(disk: Pick<Disk, 'list'>, folder: string): Promise<Listing> {
  const bases: BaseFile[] = [];
  const segments: SegmentFile[] = [];
  for (const name of await disk.list(folder)) {
    const base = /^base-(\d{16})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.db$/.exec(name);
    if (base !== null) {
      const [year, month, ...rest] = base.slice(2).map(Number) as [number, number, number, number, number, number];
      bases.push({ name, revision: Number(base[1]), timeMs: Date.UTC(year, month - 1, ...rest) });
    }
    const segment = /^segment-(\d{16})(?:-(\d{16})\.log|\.open)$/.exec(name);
    if (segment !== null)
      segments.push({
        name,
        first: Number(segment[1]),
        last: segment[2] === undefined ? undefined : Number(segment[2]),
      });
  }
  bases.sort((a, b) => a.revision - b.revision || a.timeMs - b.timeMs);
  segments.sort((a, b) => a.first - b.first);
  return { bases, segments };
}
