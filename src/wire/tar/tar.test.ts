/** Tar archives: every entry survives, in pieces of any size; what is malformed, sparse or oversized is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readTar, type TarItem, writeTar } from '#testkit/tar-items.ts';
import { TarError, tarEntry } from './entry.ts';
import { encodeTarHeader } from './writer.ts';

const names = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 300 })
  .filter((name) => !name.includes('\0') && name.isWellFormed());
const items: fc.Arbitrary<TarItem> = fc
  .record({
    name: names,
    linkName: names,
    type: fc.constantFrom('file', 'link', 'symlink', 'character', 'block', 'directory', 'fifo' as const),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
    major: fc.integer({ min: 0, max: 4095 }),
    xattrs: fc.dictionary(fc.stringMatching(/^user\.[a-z]{1,20}$/), fc.uint8Array({ maxLength: 200 })),
    data: fc.uint8Array({ maxLength: 2000 }),
  })
  .map(({ data, seconds, nanoseconds, xattrs, ...rest }) => {
    const bytes = rest.type === 'file' ? Buffer.from(data) : Buffer.alloc(0);
    const device = rest.type === 'character' || rest.type === 'block';
    return {
      entry: tarEntry({
        ...rest,
        major: device ? rest.major : 0,
        linkName: rest.type === 'link' || rest.type === 'symlink' ? rest.linkName : '',
        size: bytes.length,
        mtime: { seconds, nanoseconds },
        xattrs: new Map(Object.entries(xattrs).sort(([a], [b]) => (a < b ? -1 : 1))),
      }),
      data: bytes,
    };
  });

test('every entry survives a round trip in pieces of any size', () => {
  fc.assert(
    fc.property(fc.array(items, { maxLength: 4 }), fc.integer({ min: 1, max: 3000 }), (list, pieceBytes) => {
      assert.deepEqual(
        readTar(writeTar(list), pieceBytes).map(({ entry, data }) => ({
          entry: { ...entry, xattrs: new Map([...entry.xattrs].map(([key, value]) => [key, Buffer.from(value)])) },
          data,
        })),
        list.map(({ entry, data }) => ({
          entry: { ...entry, xattrs: new Map([...entry.xattrs].map(([key, value]) => [key, Buffer.from(value)])) },
          data,
        })),
      );
    }),
    { numRuns: 60 },
  );
});

test('arbitrary bytes give entries or TarError, nothing else', () => {
  const archive = writeTar([
    {
      entry: tarEntry({ name: `${'long/'.repeat(60)}file`, size: 3, xattrs: new Map([['user.a', Buffer.from('b')]]) }),
      data: Buffer.from('abc'),
    },
  ]);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { maxLength: 6 }), (changes) => {
      const broken = Buffer.from(archive);
      for (const [at, byte] of changes) broken[at] = byte;
      try {
        readTar(broken);
      } catch (error) {
        if (!(error instanceof TarError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
});

test('an archive that stops inside an entry is refused, a missing end marker is not', () => {
  const archive = writeTar([{ entry: tarEntry({ name: 'a', size: 600 }), data: Buffer.alloc(600, 1) }]);
  assert.throws(() => readTar(archive.subarray(0, 700)), TarError);
  assert.throws(() => readTar(archive.subarray(0, 100)), TarError);
  assert.equal(readTar(archive.subarray(0, 512 + 1024)).length, 1);
});

test('an oversized extension header is refused before it is collected', () => {
  const header = encodeTarHeader(tarEntry({ name: 'x', size: 2 << 20 }));
  header.write('x', 156);
  let sum = 0;
  header.fill(0x20, 148, 156);
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  assert.throws(() => readTar(header), /over 1048576/);
});
