/** Volumes of files that change all at once: the layout that pods watch, and what a reader may see meanwhile. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostNodeFiles } from '#host/node-files.ts';
import { writeVolume } from './atomic-writer.ts';

const limit = { timeout: 5000 };
const moment = Date.UTC(2026, 10, 24, 15, 4, 5, 7);

function files(contents: Readonly<Record<string, string>>, mode = 0o644) {
  return new Map(Object.entries(contents).map(([path, text]) => [path, { bytes: Buffer.from(text), mode }]));
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'volume-'));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('files are links through ..data into a folder named after the moment', limit, () =>
  inFolder(async (folder) => {
    await writeVolume(hostNodeFiles, folder, files({ a: '1', 'deep/b': '2' }, 0o400), moment);
    const version = '..2026_11_24_15_04_05.007000000';
    assert.deepEqual((await readdir(folder)).sort(), [version, '..data', 'a', 'deep'].sort());
    assert.equal(await readlink(join(folder, '..data')), version);
    assert.equal(await readlink(join(folder, 'a')), '..data/a');
    assert.equal(await readlink(join(folder, 'deep')), '..data/deep');
    assert.equal(await readFile(join(folder, 'deep/b'), 'utf8'), '2');
    assert.equal((await stat(join(folder, 'a'))).mode & 0o777, 0o400);
  }),
);

test('a change turns ..data to another folder, and the old one goes; files that are no longer there go', limit, () =>
  inFolder(async (folder) => {
    await writeVolume(hostNodeFiles, folder, files({ a: '1', b: '1' }), moment);
    const before = await readlink(join(folder, '..data'));
    // At the same moment, as a clock that jumped back would have it.
    await writeVolume(hostNodeFiles, folder, files({ a: '2', c: '2' }), moment);
    const after = await readlink(join(folder, '..data'));
    assert.notEqual(after, before);
    assert.deepEqual((await readdir(folder)).sort(), [after, '..data', 'a', 'c'].sort());
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), '2');
  }),
);

test('nothing is written when nothing has changed', limit, () =>
  inFolder(async (folder) => {
    await writeVolume(hostNodeFiles, folder, files({ a: '1' }), moment);
    const before = await readlink(join(folder, '..data'));
    await writeVolume(hostNodeFiles, folder, files({ a: '1' }), moment + 60_000);
    assert.equal(await readlink(join(folder, '..data')), before);
  }),
);

test('an open file keeps what it held; whoever opens anew sees the change', limit, () =>
  inFolder(async (folder) => {
    await writeVolume(hostNodeFiles, folder, files({ a: 'old', b: 'old' }), moment);
    const link = await readlink(join(folder, '..data'));
    // What a subPath mount is: the file itself, not the link.
    const mounted = await stat(join(folder, link, 'a'));
    await writeVolume(hostNodeFiles, folder, files({ a: 'new', b: 'new' }), moment + 1);
    assert.notEqual((await stat(join(folder, 'a'))).ino, mounted.ino);
    assert.equal(await readFile(join(folder, 'b'), 'utf8'), 'new');
  }),
);
