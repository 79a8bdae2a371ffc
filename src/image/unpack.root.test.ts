/** Layers on disk: owners, modes, times, links, whiteouts as overlayfs wants them; and archives that try to get out. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import koffi from 'koffi';
import { mount, unmount } from '#host-linux/mount.ts';
import { type TarEntry, tarEntry } from '#wire/tar/entry.ts';
import { encodeTarHeader, tarPadding, tarTrailerBytes } from '#wire/tar/writer.ts';
import { digestOf } from './content-store.ts';
import { type UnpackedLayer, unpackLayer } from './unpack.ts';

const folder = mkdtempSync(join(tmpdir(), 'wherry-unpack-'));
after(() => rmSync(folder, { recursive: true }));

function xattr(path: string, name: string): string | undefined {
  const value = Buffer.alloc(256);
  const length = Number(
    koffi.load('libc.so.6').func('long lgetxattr(str, str, void *, size_t)')(path, name, value, 256),
  );
  return length < 0 ? undefined : value.toString('utf8', 0, length);
}

type Line = Partial<TarEntry> & { name: string; text?: string };

function archive(lines: readonly Line[]): Buffer {
  const chunks: Uint8Array[] = [];
  for (const { text = '', ...line } of lines) {
    chunks.push(encodeTarHeader(tarEntry({ ...line, size: Buffer.byteLength(text) })));
    chunks.push(Buffer.from(text), Buffer.alloc(tarPadding(Buffer.byteLength(text))));
  }
  return Buffer.concat([...chunks, Buffer.alloc(tarTrailerBytes)]);
}

async function unpack(name: string, bytes: Uint8Array): Promise<UnpackedLayer & { path: string }> {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
  }
  return { path, ...(await unpackLayer(pieces(), path)) };
}

test('attributes arrive, whatever the compression', async () => {
  const bytes = archive([
    { name: './', type: 'directory', mode: 0o751 },
    { name: 'd/', type: 'directory', mode: 0o2750, uid: 5, gid: 6, mtime: { seconds: 1000, nanoseconds: 5 } },
    { name: 'd/f', mode: 0o4755, uid: 7, gid: 8, text: 'text', mtime: { seconds: -5, nanoseconds: 500_000_000 } },
    { name: 'd/h', type: 'link', linkName: 'd/f' },
    { name: 'd/s', type: 'symlink', linkName: '/nowhere', uid: 9 },
    { name: 'p', type: 'fifo', mode: 0o600 },
    { name: 'n', type: 'character', major: 1, minor: 3, mode: 0o666 },
    {
      name: 'x',
      xattrs: new Map([
        ['user.a', Buffer.from('b')],
        ['trusted.overlay.redirect', Buffer.from('/')],
      ]),
    },
  ]);
  for (const [name, packed] of [
    ['none', bytes],
    ['gzip', gzipSync(bytes)],
    ['zstd', zstdCompressSync(bytes)],
  ] as const) {
    const { path, diffId, entries, impliedFolders } = await unpack(name, packed);
    assert.equal(diffId, digestOf(bytes));
    assert.deepEqual([entries, impliedFolders], [8, []]);
    assert.equal(statSync(path).mode & 0o7777, 0o751);
    const d = statSync(join(path, 'd'), { bigint: true });
    assert.deepEqual([d.mode & 0o7777n, d.uid, d.gid, d.mtimeNs], [0o2750n, 5n, 6n, 1_000_000_000_005n]);
    const f = statSync(join(path, 'd/f'), { bigint: true });
    assert.deepEqual([f.mode & 0o7777n, f.uid, f.gid, f.mtimeNs], [0o4755n, 7n, 8n, -4_500_000_000n]);
    assert.equal(statSync(join(path, 'd/h')).ino, Number(f.ino));
    assert.equal(readlinkSync(join(path, 'd/s')), '/nowhere');
    assert.equal(lstatSync(join(path, 'd/s')).uid, 9);
    assert.ok(statSync(join(path, 'p')).isFIFO());
    assert.equal(statSync(join(path, 'n')).rdev, 0x103);
    assert.equal(xattr(join(path, 'x'), 'user.a'), 'b');
    assert.equal(xattr(join(path, 'x'), 'trusted.overlay.redirect'), undefined);
  }
});

test('stacked by overlayfs, whiteouts hide what they name and nothing else', async () => {
  const lower = await unpack(
    'lower',
    archive(
      ['a', 'gone/x', 'opaque/old', 'file-to-folder', 'folder-to-file/x', 'back/old', 'kept/old'].map((name) => ({
        name,
        text: name,
      })),
    ),
  );
  assert.deepEqual(lower.impliedFolders, ['gone', 'opaque', 'folder-to-file', 'back', 'kept']);
  const upper = await unpack(
    'upper',
    archive([
      { name: '.wh.a' },
      { name: '.wh.gone' },
      { name: 'opaque/', type: 'directory' },
      { name: 'opaque/new', text: 'new' },
      { name: 'opaque/.wh..wh..opq' },
      { name: '.wh..wh.plnk', type: 'directory' },
      { name: 'file-to-folder/', type: 'directory' },
      { name: '.wh.folder-to-file' },
      { name: 'folder-to-file', text: 'file' },
      { name: '.wh.back' },
      { name: 'back/new', text: 'new' },
      { name: 'kept/new', text: 'new' },
    ]),
  );
  const merged = join(folder, 'merged');
  mkdirSync(merged);
  mount({ type: 'overlay', source: 'overlay', options: ['ro', `lowerdir=${upper.path}:${lower.path}`] }, merged);
  try {
    const found = execFileSync('find', ['.', '-printf', '%P\\n'], { cwd: merged, encoding: 'utf8' })
      .trim()
      .split('\n')
      .sort();
    assert.deepEqual(found, [
      'back',
      'back/new',
      'file-to-folder',
      'folder-to-file',
      'kept',
      'kept/new',
      'kept/old',
      'opaque',
      'opaque/new',
    ]);
  } finally {
    unmount(merged);
  }
});

test('no archive reaches outside its folder', async () => {
  const outside = join(folder, 'outside');
  mkdirSync(outside);
  const { path } = await unpack(
    'escape',
    archive([
      { name: '../../escape-1', text: 'x' },
      { name: '/escape-2', text: 'x' },
      { name: 'abs', type: 'symlink', linkName: outside },
      { name: `up`, type: 'symlink', linkName: '../outside' },
      { name: 'self', type: 'symlink', linkName: '.' },
      { name: 'self/through-self', text: 'inside' },
    ]),
  );
  assert.ok(existsSync(join(path, 'escape-1')) && existsSync(join(path, 'escape-2')));
  assert.equal(readFileSync(join(path, 'through-self'), 'utf8'), 'inside');
  for (const link of ['abs', 'up'])
    for (const entry of [
      { name: `${link}/f`, text: 'x' },
      { name: `${link}/l`, type: 'link', linkName: 'through' },
      { name: 'hard', type: 'link', linkName: `${link}/../../unpack.root.test.ts` },
      { name: `${link}/.wh.f` },
    ] as const)
      await unpack(
        `escape-${link}-${entry.name.replaceAll('/', '-')}`,
        archive([
          { name: 'through', text: 't' },
          { name: link, type: 'symlink', linkName: link === 'abs' ? outside : '../outside' },
          entry,
        ]),
      ).catch(() => {});
  assert.deepEqual(execFileSync('find', [outside], { encoding: 'utf8' }).trim(), outside);
  await assert.rejects(unpack('bare', archive([{ name: 'd/.wh.' }])), /invalid whiteout/);
});

test('a bomb stops at the limit, a broken stream is refused', async () => {
  const bomb = zstdCompressSync(Buffer.concat([archive([{ name: 'a' }]), Buffer.alloc(8 << 20)]));
  mkdirSync(join(folder, 'bomb'));
  async function* once(bytes: Uint8Array) {
    yield bytes;
  }
  await assert.rejects(
    unpackLayer(once(bomb), join(folder, 'bomb'), { limits: { archiveBytesMax: 1 << 20, entriesMax: 10 } }),
    { code: 'OutOfRange' },
  );
  const many = archive(Array.from({ length: 11 }, (_, i) => ({ name: String(i) })));
  await assert.rejects(
    unpackLayer(once(many), join(folder, 'bomb'), { limits: { archiveBytesMax: 1 << 20, entriesMax: 10 } }),
    { code: 'OutOfRange' },
  );
  const broken = gzipSync(archive([{ name: 'b', text: 'b'.repeat(5000) }]));
  await assert.rejects(unpackLayer(once(broken.subarray(0, broken.length - 20)), join(folder, 'bomb')), {
    code: 'DataLoss',
  });
});
