/** GNU tar agrees with ours, both ways. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTar, writeTar } from '#testkit/tar-items.ts';
import { tarEntry } from './entry.ts';

test('archives of GNU tar in every format read as they were written', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-tar-'));
  try {
    const long = 'n'.repeat(150);
    writeFileSync(join(folder, long), 'long');
    writeFileSync(join(folder, 'größe'), Buffer.alloc(1500, 7));
    symlinkSync('m'.repeat(140), join(folder, 'symlink'));
    for (const format of ['gnu', 'pax', 'posix']) {
      const archive = execFileSync('tar', ['-C', folder, `--format=${format}`, '-c', '.'], { maxBuffer: 1 << 24 });
      const found = new Map(readTar(archive, 700).map((item) => [item.entry.name, item]));
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
          readTar(
            execFileSync('tar', ['-C', folder, '-S', `--format=${format}`, '-c', 'sparse'], { maxBuffer: 1 << 24 }),
          ),
        /sparse/,
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('GNU tar extracts what we write', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-tar-'));
  try {
    const archive = writeTar([
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
