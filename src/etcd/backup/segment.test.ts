/** Segments that a crash has cut anywhere, or that somebody has changed anywhere; what retention lets go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentBatch } from '#api-etcd/gen/backup.ts';
import { Event, KeyValue } from '#api-etcd/gen/kv.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { contentOf, openArchive } from './archive.ts';
import { baseName, listArchive } from './names.ts';
import { unneeded } from './retain.ts';
import { SegmentWriter } from './segment-writer.ts';

const folder = 'archive';
const name = 'segment-0000000000000005.open';
const path = `${folder}/${name}`;

const batchOf = (revision: number, length: number) =>
  SegmentBatch.create({
    timeMs: revision * 1000,
    changes: [
      {
        revision,
        timeMs: revision * 1000,
        events: [Event.create({ kv: KeyValue.create({ key: Buffer.from('k'), value: Buffer.alloc(length, 7) }) })],
      },
    ],
  });

/** Revisions 5 and 6; `before` is where the last record begins. */
async function twoRecords() {
  const disk = new MemoryDisk();
  await using writer = await SegmentWriter.create(
    { disk, folder },
    { clusterId: 1n, firstRevision: 5, timeMs: 4000, raftTerm: 2 },
  );
  await writer.append(batchOf(5, 40));
  const before = writer.bytes;
  await writer.append(batchOf(6, 30));
  return { disk, before, bytes: (await disk.read(path))! };
}

async function diskWith(bytes: Buffer): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await using file = await disk.open(path);
  await file.write(bytes, 0);
  return disk;
}

test('a last record that is cut at any byte is told, taken away when the segment goes on, and nothing before it is lost', async () => {
  const { bytes, before } = await twoRecords();
  for (let length = before + 1; length < bytes.length; length++)
    for (const left of [
      bytes.subarray(0, length),
      Buffer.concat([bytes.subarray(0, before), Buffer.alloc(length - before)]),
    ]) {
      const disk = await diskWith(left);
      assert.deepEqual((await openArchive(disk, folder)).torn, { path, at: before });
      await using writer = await SegmentWriter.reopen({ disk, folder }, name, 5);
      assert.equal(writer.last, 5);
      await writer.append(batchOf(6, 10));
      await writer.end();
      const { segments } = await listArchive(disk, folder);
      assert.deepEqual(segments, [{ name: 'segment-0000000000000005-0000000000000006.log', first: 5, last: 6 }]);
      assert.equal((await contentOf(disk, folder, segments[0]!)).batches.length, 2);
    }
});

test('a byte that is another one before the last record is named with its file and place, at every byte', async () => {
  const { bytes, before } = await twoRecords();
  for (let at = 0; at < before; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 0x10;
    await assert.rejects(
      openArchive(await diskWith(damaged), folder),
      /^ArchiveError: archive\/segment-\d+\.open: damaged at byte \d+: /,
    );
  }
});

test('a segment that was ended has its end, and is as its name says', async () => {
  const { disk } = await twoRecords();
  {
    await using writer = await SegmentWriter.reopen({ disk, folder }, name, 5);
    await writer.end();
  }
  const [segment] = (await listArchive(disk, folder)).segments;
  const ended = `${folder}/${segment!.name}`;
  const bytes = (await disk.read(ended))!;
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 0x10;
    const other = new MemoryDisk();
    await using file = await other.open(ended);
    await file.write(damaged, 0);
    await assert.rejects(contentOf(other, folder, segment!), /damaged at byte \d+/);
    await file.write(bytes, 0);
    await file.truncate(at);
    await assert.rejects(contentOf(other, folder, segment!), /damaged at byte \d+/);
  }
});

test('only what a base that is old enough covers may go', () => {
  const base = (revision: number, timeMs: number) => ({ name: baseName(revision, timeMs), revision, timeMs });
  const segment = (first: number, last: number | undefined) => ({ name: `${first}`, first, last });
  const bases = [base(10, 1000), base(20, 2000), base(30, 3000)];
  const segments = [segment(11, 20), segment(21, 25), segment(26, undefined)];
  assert.deepEqual(unneeded({ bases, segments }, 500), []);
  assert.deepEqual(unneeded({ bases, segments }, 1500), []);
  assert.deepEqual(unneeded({ bases, segments }, 2500), ['11', bases[0]!.name]);
  assert.deepEqual(unneeded({ bases, segments }, 9000), ['11', '21', bases[0]!.name, bases[1]!.name]);
});
