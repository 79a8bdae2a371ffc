/** What an archive can restore while a new row of segments has no base yet, and what it says of a segment without a beginning. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentBatch } from '#api-etcd/gen/backup.ts';
import { Event, KeyValue } from '#api-etcd/gen/kv.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { openArchive, seenRevision } from './archive.ts';
import { baseName, openSegmentName } from './names.ts';
import { resolvePoint } from './restore.ts';
import { SegmentWriter } from './segment-writer.ts';

const folder = 'archive';

async function writeFile(disk: MemoryDisk, name: string): Promise<void> {
  await using _ = await disk.open(`${folder}/${name}`);
}

async function writeSegment(disk: MemoryDisk, revision: number): Promise<SegmentWriter> {
  const timeMs = revision * 1000;
  const writer = await SegmentWriter.create(
    { disk, folder },
    { clusterId: 1n, firstRevision: revision, timeMs, raftTerm: 1 },
  );
  const events = [Event.create({ kv: KeyValue.create({ key: Buffer.from('k'), modRevision: revision }) })];
  await writer.append(SegmentBatch.create({ timeMs, changes: [{ revision, timeMs, events }] }));
  return writer;
}

test('after a gap, everything from before it can be restored, and the revision is raised past what came after', async () => {
  const disk = new MemoryDisk();
  await writeFile(disk, baseName(4, 4000));
  await (await writeSegment(disk, 5)).end();
  await writeSegment(disk, 9);
  const archive = await openArchive(disk, folder);
  assert.deepEqual(
    archive.chains.map(({ restorable }) => restorable),
    [{ first: 4, last: 5 }, undefined],
  );
  assert.deepEqual(await resolvePoint(disk, archive, { kind: 'newest' }), { revision: 5, seenMs: undefined });
  assert.equal(seenRevision(archive), 9);
});

test('without a base, nothing can be restored yet', async () => {
  const disk = new MemoryDisk();
  await writeSegment(disk, 5);
  const archive = await openArchive(disk, folder);
  await assert.rejects(
    resolvePoint(disk, archive, { kind: 'newest' }),
    /archive: nothing can be restored yet: no base is complete/,
  );
});

test('a segment without its beginning is damaged', async () => {
  const disk = new MemoryDisk();
  await writeFile(disk, openSegmentName(5));
  await assert.rejects(openArchive(disk, folder), /\.open: damaged at byte 0: its beginning is missing/);
});
