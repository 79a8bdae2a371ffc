/** What is written comes back: many pages, deep trees, values over several pages, empty buckets; damage is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, randomBytes, seededPrng } from '#std/prng.ts';
import { BboltError } from './format.ts';
import { BboltReader } from './read.ts';
import { PagedBbolt, readFrom, type VisitPair } from './read-paged.ts';
import { type BucketSource, layOut, type Pair } from './write.ts';

function bucket(name: string, pairs: readonly Pair[]): BucketSource {
  return { name, pairs: () => pairs };
}

const text = (value: string) => Buffer.from(value);
const numbered = (count: number, value: (i: number) => Uint8Array): Pair[] =>
  Array.from({ length: count }, (_, i) => ({ key: text(String(i).padStart(40, '0')), value: value(i) }));

const prng = seededPrng(5);
const buckets = [
  bucket(
    'deep',
    numbered(30_000, (i) => text(`value ${i}`)),
  ),
  bucket('empty', []),
  bucket(
    'large',
    numbered(5, (i) => randomBytes(prng, 3000 * i)),
  ),
  bucket('one', [{ key: text('k'), value: text('') }]),
];

test('a file of many shapes reads as it was written', { timeout: 20_000 }, () => {
  const file = layOut(buckets);
  const bytes = Buffer.concat([...file.pages()]);
  assert.equal(bytes.length, file.size);
  const reader = new BboltReader(bytes);
  assert.deepEqual(
    reader.bucketNames(),
    buckets.map(({ name }) => name),
  );
  for (const { name, pairs } of buckets)
    assert.deepEqual(
      [...reader.pairs(name)].map(({ key, value }) => [key.toString(), Buffer.from(value).toString('base64')]),
      [...pairs()].map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString('base64')]),
    );
  assert.deepEqual([...reader.pairs('absent')], []);
});

test('one damaged meta page is survived, two are refused', () => {
  const bytes = Buffer.concat([...layOut(buckets.slice(1)).pages()]);
  bytes[20]! ^= 1;
  assert.equal(new BboltReader(bytes).bucketNames().length, 3);
  bytes[4096 + 20]! ^= 1;
  assert.throws(() => new BboltReader(bytes), BboltError);
});

test('a page that points elsewhere is an error, not a crash', () => {
  const good = Buffer.concat([...layOut(buckets.slice(1)).pages()]);
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(good);
    // Past the metas, which have a checksum.
    for (let i = 0; i < 3; i++) bytes[12_288 + (prng.uint32() % (bytes.length - 12_288))] = prng.uint32() & 0xff;
    try {
      const reader = new BboltReader(bytes);
      for (const name of reader.bucketNames()) for (const pair of reader.pairs(name)) assert.ok(pair.key.length >= 0);
    } catch (error) {
      assert.ok(error instanceof BboltError, String(error));
    }
  }
});

async function eachOf(paged: PagedBbolt, bucket: string): Promise<string[][]> {
  const pairs: string[][] = [];
  const visit: VisitPair = (page, keyStart, valueStart, valueEnd) =>
    pairs.push([page.toString('utf8', keyStart, valueStart), page.toString('base64', valueStart, valueEnd)]);
  await paged.each(bucket, visit);
  return pairs;
}

test('a page at a time, the last pair and a small bucket are what the whole file says', async () => {
  const bytes = Buffer.concat([...layOut(buckets).pages()]);
  const paged = await PagedBbolt.open(readFrom(bytes));
  const reader = new BboltReader(bytes);
  const plain = ({ key, value }: Pair) => [Buffer.from(key).toString(), Buffer.from(value).toString('base64')];
  for (const { name } of buckets) {
    const last = await paged.last(name);
    assert.deepEqual(last && plain(last), [...reader.pairs(name)].map(plain).at(-1));
    assert.deepEqual(await eachOf(paged, name), [...reader.pairs(name)].map(plain));
  }
  assert.equal(await paged.last('absent'), undefined);
  assert.deepEqual(await eachOf(paged, 'absent'), []);
  assert.deepEqual((await paged.pairs('large')).map(plain), [...reader.pairs('large')].map(plain));
});

test('a page at a time, whatever is damaged is refused or read, and nothing else happens', async () => {
  const bytes = Buffer.concat([...layOut(buckets).pages()]);
  // Only what is looked at counts: the beginnings of pages.
  const pageBytes = 4096;
  let refused = 0;
  for (let i = 0; i < 300; i++) {
    const damaged = Buffer.from(bytes.subarray(0, i % 4 === 0 ? below(prng, bytes.length) : bytes.length));
    const at = below(prng, Math.ceil(damaged.length / pageBytes)) * pageBytes + below(prng, 48);
    if (at < damaged.length) damaged[at]! ^= 1 << below(prng, 8);
    try {
      const paged = await PagedBbolt.open(readFrom(damaged));
      for (const name of ['deep', 'large', 'one']) await paged.last(name);
      await paged.pairs('large');
      await paged.each('deep', () => {});
    } catch (error) {
      if (!(error instanceof BboltError)) throw error;
      refused++;
    }
  }
  assert.ok(refused > 20);
});
