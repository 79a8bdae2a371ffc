/** Where the recording of a backup goes on: behind what the archive has, if that is of this cluster and this cluster has not gone back. */
import { RangeRequest } from '#api-etcd/gen/rpc.ts';
import { contentOf, openArchive } from '#etcd/backup/archive.ts';
import { ArchiveError, listArchive } from '#etcd/backup/names.ts';
import { SegmentWriter } from '#etcd/backup/segment-writer.ts';
import { hostDisk } from '#host/disk.ts';
import type { RecorderOptions } from './backup-recorder.ts';
import type { Session } from './session.ts';

/** Where a cluster is, as a quorum of it says. */
export interface Position {
  readonly clusterId: bigint;
  readonly revision: number;
  readonly raftTerm: number;
}

/** Segments without a gap, the newest of which is written. */
export interface Row {
  /** Of its oldest segment: a base that is older is no use. */
  readonly firstRevision: number;
  readonly lastTimeMs: number;
  raftTerm: number;
  writer: SegmentWriter;
  /** Ends the newest segment and begins one behind it. */
  next(timeMs: number): Promise<void>;
}

/** What a quorum says. @throws RpcError */
export async function positionOf({ client, call }: Session): Promise<Position> {
  const { header } = await client.range(RangeRequest.create({ key: Buffer.of(0), countOnly: true }), call);
  return { clusterId: header!.clusterId, revision: header!.revision, raftTerm: header!.raftTerm };
}

/** @throws ArchiveError when a cluster is behind what was seen of it: it was restored, and the revisions to come mean something else */
export function wentBack(folder: string, seen: Pick<Position, 'revision' | 'raftTerm'>, now: Position): void {
  if (now.revision >= seen.revision && now.raftTerm >= seen.raftTerm) return;
  throw new ArchiveError(
    `${folder} has seen revision ${seen.revision} in term ${seen.raftTerm} of this cluster, which is now at revision ${now.revision} in term ${now.raftTerm}: it was restored from a backup. Keep the archive as it is and begin another in a new folder`,
  );
}

/**
 * @param afterGap what is in between cannot be had any more: a new row begins with what comes now
 * @throws ArchiveError, RpcError
 */
export async function rowBehind({ session, folder, clock }: RecorderOptions, afterGap: boolean): Promise<Row> {
  const place = { disk: hostDisk, folder };
  const now = await positionOf(session);
  const { segments, bases } = await listArchive(hostDisk, folder);
  const newest = segments.at(-1);
  let writer: SegmentWriter | undefined;
  let lastTimeMs = clock.now();
  let firstRevision = now.revision + 1;
  const begin = (first: number, timeMs: number, raftTerm: number) =>
    SegmentWriter.create(place, { clusterId: now.clusterId, firstRevision: first, timeMs, raftTerm });
  if (newest !== undefined) {
    const { start, batches } = await contentOf(hostDisk, folder, newest);
    const lastBatch = batches.at(-1);
    lastTimeMs = Math.max(lastTimeMs, lastBatch?.timeMs ?? start.timeMs);
    if (start.clusterId !== now.clusterId)
      throw new ArchiveError(
        `${folder} is of cluster ${start.clusterId.toString(16)}, this is ${now.clusterId.toString(16)}: give each cluster a folder of its own`,
      );
    const last = batches.findLast(({ changes }) => changes.length > 0)?.changes.at(-1)?.revision ?? newest.first - 1;
    wentBack(folder, { revision: last, raftTerm: lastBatch?.raftTerm ?? start.raftTerm }, now);
    if (!afterGap)
      firstRevision = (await openArchive(hostDisk, folder)).chains.at(-1)!.segments[0]?.first ?? newest.first;
    if (newest.last === undefined && !afterGap) {
      writer = await SegmentWriter.reopen(place, newest.name, newest.first);
      if (writer.ended) {
        await writer[Symbol.asyncDispose]();
        writer = undefined;
      }
    }
    if (!afterGap) writer ??= await begin(last + 1, lastTimeMs, now.raftTerm);
  } else if (bases.length > 0 && bases.at(-1)!.revision > now.revision)
    throw new ArchiveError(
      `${folder} has a base of revision ${bases.at(-1)!.revision}, and the cluster is at ${now.revision}: begin another archive in a new folder`,
    );
  const row: Row = {
    firstRevision,
    lastTimeMs,
    raftTerm: now.raftTerm,
    writer: writer ?? (await begin(firstRevision, lastTimeMs, now.raftTerm)),
    async next(timeMs) {
      const ended = row.writer;
      await ended.end();
      await ended[Symbol.asyncDispose]();
      row.writer = await begin(ended.last + 1, timeMs, row.raftTerm);
    },
  };
  return row;
}
