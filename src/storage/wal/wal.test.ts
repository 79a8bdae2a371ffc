/** The log: what was appended comes back, what a crash has torn is taken away, damage is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Entry, EntryType, HardState } from '#api-etcd/gen/raft.ts';
import { Metadata } from '#api-etcd/gen/server_metadata.ts';
import { below, randomBytes, seededPrng } from '#std/prng.ts';
import { MemoryDisk } from '../memory-disk.ts';
import { Wal, WalError } from './wal.ts';

const folder = 'member/wal';
const fileBytes = 64 << 10;
const metadata = Metadata.create({ nodeID: 0xfedc_ba98_7654_3210n, clusterID: 7n });

function entry(index: number, data: Uint8Array, term = 1): Entry {
  return Entry.create({ type: EntryType.EntryNormal, term, index, data });
}

const state = (commit: number) => HardState.create({ term: 1, vote: 5n, commit });

/** Offset of the end of records in the first file: the first eight zero bytes on an eight-byte step. */
async function endOf(disk: MemoryDisk, name: string): Promise<number> {
  const bytes = (await disk.read(`${folder}/${name}`))!;
  let at = 0;
  while (at < bytes.length && bytes.readBigUInt64LE(at) !== 0n) {
    const low = bytes.readUInt32LE(at);
    const high = bytes.readUInt32LE(at + 4);
    at += 8 + low + (high >= 0x8000_0000 ? (high >>> 24) & 7 : 0);
  }
  return at;
}

test('what was appended comes back, after any number of openings', async () => {
  const disk = new MemoryDisk();
  const prng = seededPrng(3);
  const wanted: Entry[] = [];
  let wal = await Wal.create(disk, folder, metadata, fileBytes);
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 5; i++) {
      const batch = Array.from({ length: below(prng, 4) }, (_, k) =>
        entry(wanted.length + 1 + k, randomBytes(prng, below(prng, 2000))),
      );
      wanted.push(...batch);
      await wal.append(batch, state(wanted.length));
    }
    await wal[Symbol.asyncDispose]();
    const opened = await Wal.open(disk, folder, fileBytes);
    wal = opened.wal;
    assert.deepEqual(opened.content.metadata, metadata);
    assert.deepEqual(opened.content.entries.map(Entry.encode), wanted.map(Entry.encode));
    assert.equal(opened.content.hardState.commit, wanted.length);
  }
});

test('a later entry replaces those from its index on', async () => {
  const disk = new MemoryDisk();
  const wal = await Wal.create(disk, folder, metadata, fileBytes);
  await wal.append([1, 2, 3, 4].map((index) => entry(index, Buffer.from('old'))));
  await wal.append([entry(3, Buffer.from('new'), 2)]);
  const { content } = await Wal.open(disk, folder, fileBytes);
  assert.deepEqual(
    content.entries.map(({ index, term }) => [index, term]),
    [
      [1, 1],
      [2, 1],
      [3, 2],
    ],
  );
});

test('whatever sectors of the last write a crash has lost, what was appended before is there', async () => {
  const prng = seededPrng(9);
  for (let round = 0; round < 60; round++) {
    const disk = new MemoryDisk();
    const wal = await Wal.create(disk, folder, metadata, fileBytes);
    await wal.append([entry(1, randomBytes(prng, 700))], state(1));
    const name = (await disk.list(folder))[0]!;
    const before = await endOf(disk, name);
    await wal.append([
      entry(
        2,
        randomBytes(prng, 3000).map((byte) => byte | 1),
      ),
      entry(3, randomBytes(prng, 900)),
    ]);
    const after = await endOf(disk, name);
    // Sectors of the unsynced write reach the disk or not, one by one.
    const bytes = (await disk.read(`${folder}/${name}`))!;
    for (let at = before; at < after; at = at - (at % 512) + 512)
      if (below(prng, 2) === 0) bytes.fill(0, at, Math.min(after, at - (at % 512) + 512));
    const torn = new MemoryDisk();
    const file = await torn.open(`${folder}/${name}`);
    await file.write(bytes, 0);
    await torn.syncFolder(folder);
    const { wal: again, content } = await Wal.open(torn, folder, fileBytes);
    assert.ok(content.entries.length >= 1);
    const next = content.entries.length + 1;
    await again.append([entry(next, Buffer.from('after'))]);
    const { content: last } = await Wal.open(torn.afterCrash(), folder, fileBytes);
    assert.equal(last.entries.length, next);
    assert.equal(Buffer.from(last.entries.at(-1)!.data!).toString(), 'after');
  }
});

test('a changed byte in the middle is refused', async () => {
  const disk = new MemoryDisk();
  const wal = await Wal.create(disk, folder, metadata, fileBytes);
  await wal.append([entry(1, Buffer.alloc(100, 'x')), entry(2, Buffer.alloc(100, 'y'))]);
  const path = `${folder}/${(await disk.list(folder))[0]!}`;
  const bytes = (await disk.read(path))!;
  const at = bytes.indexOf('xxxx');
  const file = await disk.open(path);
  await file.write(Buffer.from('z'), at);
  await assert.rejects(Wal.open(disk, folder, fileBytes), WalError);
});

test('a full file is cut; files behind a checkpoint go', async () => {
  const disk = new MemoryDisk();
  const wal = await Wal.create(disk, folder, metadata, fileBytes);
  const data = Buffer.alloc(8 << 10, 'd');
  for (let index = 1; index <= 20; index++) await wal.append([entry(index, data)], state(index));
  const names = await disk.list(folder);
  assert.equal(names.length, 3);
  assert.match(names[1]!, /^0000000000000001-000000000000000[89]\.wal$/);
  const { content } = await Wal.open(disk, folder, fileBytes);
  assert.equal(content.entries.length, 20);
  await wal.release(12);
  const { content: rest } = await Wal.open(disk, folder, fileBytes);
  assert.equal(rest.entries.at(-1)!.index, 20);
  assert.ok(rest.entries[0]!.index <= 12 && rest.entries[0]!.index > 1);
  assert.equal(rest.hardState.commit, 20);
});
