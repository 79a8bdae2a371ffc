/**
 * From a backup archive to the state of a cluster at one revision: the newest base that is not later, and every change since. All of it is
 * checked before anything is made of it. It writes nothing.
 */
import type { SegmentChange } from '#api-etcd/gen/backup.ts';
import { Event_EventType, KeyValue } from '#api-etcd/gen/kv.ts';
import type { Store } from '#mvcc/store.ts';
import { PagedBbolt, readFrom } from '#storage/bbolt/read-paged.ts';
import { readBackend } from '../checkpoint/backend.ts';
import { checkedPages } from '../checkpoint/restore-snapshot.ts';
import { Leases } from '../lease/leases.ts';
import { Machine } from '../machine.ts';
import { type Archive, contentOf, type ReadingDisk, restorableText } from './archive.ts';
import { ArchiveError } from './names.ts';

/**
 * Beyond the newest revision that the archive knows of: as many as a cluster can have made after the archive's last change and
 * before it was lost. At ten thousand writes a second it takes a day to make a billion.
 */
export const bumpBeyondArchive = 1_000_000_000;

/** Seconds. For leases that keys hang on and of which only the id is known: time for their owners to come back. */
export const unknownLeaseTtl = 3600;

/** What is to be restored: everything, up to one revision, or what had been seen by a time (milliseconds since 1970). */
export type RestorePoint =
  | { readonly kind: 'newest' }
  | { readonly kind: 'revision'; readonly revision: number }
  | { readonly kind: 'time'; readonly timeMs: number };

/** The revision that a {@link RestorePoint} comes down to. */
export interface Resolved {
  readonly revision: number;
  /** When it was seen: milliseconds since 1970. Undefined for a base's own. */
  readonly seenMs: number | undefined;
}

/** A state, and where it came from. */
export interface Restored {
  readonly machine: Machine;
  readonly base: string;
  /** Revisions that came from segments. */
  readonly replayed: number;
  /** Leases whose time is not known: they got {@link unknownLeaseTtl}. */
  readonly unknownLeases: number;
}

/** After a gap it may be one from before, as long as the new base is not complete. @throws ArchiveError while there is none */
function newestPoint(archive: Archive): Resolved {
  const { chains, folder, seenMs } = archive;
  const chain = chains.findLast(({ restorable }) => restorable !== undefined);
  if (chain?.restorable === undefined) throw new ArchiveError(`${folder}: ${restorableText(archive)}`);
  return { revision: chain.restorable.last, seenMs: chain === chains.at(-1) ? seenMs : undefined };
}

/** @throws ArchiveError saying what there is, for a point that is not in the archive */
export async function resolvePoint(disk: ReadingDisk, archive: Archive, point: RestorePoint): Promise<Resolved> {
  if (point.kind === 'newest') return newestPoint(archive);
  if (point.kind === 'revision') return { revision: point.revision, seenMs: undefined };
  const { timeMs } = point;
  const { seenMs, listing, folder } = archive;
  const iso = (ms: number) => new Date(ms).toISOString();
  if (seenMs === undefined || timeMs > seenMs)
    throw new ArchiveError(
      `${folder} has seen nothing after ${seenMs === undefined ? 'its base' : iso(seenMs)}: what there was at ${iso(timeMs)} is not known`,
    );
  for (const segment of listing.segments.toReversed()) {
    const { start, batches } = await contentOf(disk, folder, segment);
    if (start.timeMs > timeMs) continue;
    const seen = { revision: segment.first - 1, seenMs: start.timeMs };
    for (const { changes, timeMs: at } of batches) {
      for (const change of changes) if (change.timeMs <= timeMs) seen.revision = change.revision;
      if (at <= timeMs) seen.seenMs = at;
    }
    return seen;
  }
  throw new ArchiveError(`${folder} had not been begun at ${iso(timeMs)}`);
}

/** @throws ArchiveError when the revision cannot be restored; SnapshotError, BboltError for a damaged base */
export async function restoreAt(disk: ReadingDisk, archive: Archive, revision: number): Promise<Restored> {
  const { folder } = archive;
  const chain = archive.chains.findLast(
    ({ restorable }) => restorable !== undefined && restorable.first <= revision && revision <= restorable.last,
  );
  if (chain === undefined)
    throw new ArchiveError(`${folder} cannot restore revision ${revision}, but these: ${restorableText(archive)}`);
  const base = chain.bases.findLast((each) => each.revision <= revision)!;
  const path = `${folder}/${base.name}`;
  const snapshot = await disk.read(path);
  if (snapshot === undefined) throw new ArchiveError(`${path} is gone`);
  const { machine: saved } = await readBase(snapshot, path);
  const { store } = saved;
  if (store.revision !== base.revision)
    throw new ArchiveError(`${path}: it is of revision ${store.revision}, its name says another`);
  const ttls = new Map([...saved.leases.all()].map(({ id, ttl }) => [id, ttl]));
  for (const segment of chain.segments) {
    if (segment.last <= base.revision || segment.first > revision) continue;
    const { batches } = await contentOf(disk, folder, segment);
    for (const { changes, leases } of batches) {
      for (const { id, ttl } of leases) ttls.set(id, ttl);
      for (const change of changes)
        if (change.revision > store.revision && change.revision <= revision) apply(store, change);
    }
  }
  if (store.revision !== revision)
    throw new ArchiveError(`${folder}: the changes after revision ${store.revision} are missing`);
  const { leases, unknown } = leasesOf(store, ttls);
  const { alarms, auth, clusterVersion, members, confState, downgrade } = saved;
  const machine = new Machine({ store, leases, alarms, auth, clusterVersion, members, confState, downgrade });
  return { machine, base: base.name, replayed: revision - base.revision, unknownLeases: unknown };
}

async function readBase(snapshot: Buffer, path: string) {
  try {
    return await readBackend(await PagedBbolt.open(readFrom(checkedPages(snapshot, false))));
  } catch (error) {
    throw new ArchiveError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Events of a revision come in the order of its changes: that order is part of what members hold, and hash. */
function apply(store: Store, { revision, events }: SegmentChange): void {
  for (const [sub, { type, kv }] of events.entries()) {
    const isTombstone = type === Event_EventType.DELETE;
    const record = isTombstone ? KeyValue.create({ key: kv!.key }) : kv!;
    store.restore(revision, sub, isTombstone, KeyValue.encode(record));
  }
}

/** Those that are known, and those that only keys name. */
function leasesOf(store: Store, ttls: ReadonlyMap<bigint, number>): { leases: Leases; unknown: number } {
  const leases = new Leases();
  for (const [id, ttl] of ttls) leases.grant(id, ttl);
  let unknown = 0;
  for (const version of store.live()) {
    const { lease } = version.keyValue();
    if (lease === 0n) continue;
    if (leases.get(lease) === undefined) {
      leases.grant(lease, unknownLeaseTtl);
      unknown++;
    }
    leases.attach(version.key, lease);
  }
  return { leases, unknown };
}
