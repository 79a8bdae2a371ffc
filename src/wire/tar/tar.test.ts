/** Tar archives: every entry survives, in pieces of any size; what is malformed, sparse or oversized is refused; GNU tar agrees. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type TarEntry, TarError, tarEntry } from './entry.ts';
import { TarReader } from './reader.ts';
import { encodeTarHeader, tarPadding, tarTrailerBytes } from './writer.ts';

type Item = { entry: TarEntry; data: Buffer };

function write(items: readonly Item[]): Buffer {
  const chunks: Uint8Array[] = [];
  for (const { entry, data } of items) chunks.push(encodeTarHeader(entry), data, Buffer.alloc(tarPadding(data.length)));
  return Buffer.concat([...chunks, Buffer.alloc(tarTrailerBytes)]);
}

function read(bytes: Uint8Array, pieceBytes = bytes.length): Item[] {
  const reader = new TarReader();
  const items: Item[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    reader.push(bytes.subarray(at, at + pieceBytes));
    for (let event = reader.next(); event !== undefined; event = reader.next())
      if (event.kind === 'entry') items.push({ entry: event.entry, data: Buffer.alloc(0) });
      else if (event.kind === 'data') items.at(-1)!.data = Buffer.concat([items.at(-1)!.data, event.data]);
  }
  reader.finish();
  return items;
}

const names = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 300 })
  .filter((name) => !name.includes('\0') && name.isWellFormed());
const items: fc.Arbitrary<Item> = fc
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
        read(write(list), pieceBytes).map(({ entry, data }) => ({
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
  const archive = write([
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
        read(broken);
      } catch (error) {
        if (!(error instanceof TarError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
});

test('an archive that stops inside an entry is refused, a missing end marker is not', () => {
  const archive = write([{ entry: tarEntry({ name: 'a', size: 600 }), data: Buffer.alloc(600, 1) }]);
  assert.throws(() => read(archive.subarray(0, 700)), TarError);
  assert.throws(() => read(archive.subarray(0, 100)), TarError);
  assert.equal(read(archive.subarray(0, 512 + 1024)).length, 1);
});

test('an oversized extension header is refused before it is collected', () => {
  const header = encodeTarHeader(tarEntry({ name: 'x', size: 2 << 20 }));
  header.write('x', 156);
  let sum = 0;
  header.fill(0x20, 148, 156);
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  assert.throws(() => read(header), /over 1048576/);
});

test('archives of GNU tar in every format read as they were written', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-tar-'));
  try {
    const long = 'n'.repeat(150);
    writeFileSync(join(folder, long), 'long');
    writeFileSync(join(folder, 'größe'), Buffer.alloc(1500, 7));
    symlinkSync('m'.repeat(140), join(folder, 'symlink'));
    for (const format of ['gnu', 'pax', 'posix']) {
      const archive = execFileSync('tar', ['-C', folder, `--format=${format}`, '-c', '.'], { maxBuffer: 1 << 24 });
      const found = new Map(read(archive, 700).map((item) => [item.entry.name, item]));
      assert.equal(found.get(`./${long}`)!.data.toString(), 'long');
      assert.equal(found.get('./größe')!.entry.size, 1500);
      assert.equal(found.get('./symlink')!.entry.linkName, 'm'.repeat(140));
      assert.equal(found.get('./')!.entry.type, 'directory');
    }
    writeFileSync(join(folder, 'sparse'), '');
    execFileSync('truncate', ['-s', '1M', join(folder, 'sparse')]);
    for (const format of ['gnu', 'pax'])
      assert.throws(
        () =>
          read(execFileSync('tar', ['-C', folder, '-S', `--format=${format}`, '-c', 'sparse'], { maxBuffer: 1 << 24 })),
        /sparse/,
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('GNU tar extracts what we write', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-tar-'));
  try {
    const archive = write([
      { entry: tarEntry({ name: 'd/', type: 'directory', mode: 0o755 }), data: Buffer.alloc(0) },
      {
        entry: tarEntry({ name: `d/${'ü'.repeat(90)}`, size: 5, mtime: { seconds: 5, nanoseconds: 7 } }),
        data: Buffer.from('hello'),
      },
    ]);
    execFileSync('tar', ['-C', folder, '-x'], { input: archive });
    assert.deepEqual(readdirSync(join(folder, 'd')), ['ü'.repeat(90)]);
    assert.equal(readFileSync(join(folder, 'd', 'ü'.repeat(90)), 'utf8'), 'hello');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
