/** Parts of volumes: links inside are followed, links that lead out are refused, and nothing is made outside. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostNodeFiles } from '#host/node-files.ts';
import { resolveSubPath } from './sub-path.ts';

const limit = { timeout: 5000 };

async function inVolume(run: (volume: string, outside: string) => Promise<void>): Promise<void> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'sub-')));
  try {
    await mkdir(join(folder, 'volume'));
    await mkdir(join(folder, 'outside'));
    await run(join(folder, 'volume'), join(folder, 'outside'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('folders that are missing are made', limit, () =>
  inVolume(async (volume) => {
    assert.equal(await resolveSubPath(hostNodeFiles, volume, 'a/./b'), join(volume, 'a/b'));
    assert.deepEqual(await readdir(join(volume, 'a')), ['b']);
    assert.equal(await resolveSubPath(hostNodeFiles, join(volume, 'new'), 'c'), join(volume, 'new/c'));
  }),
);

test('a link inside the volume is followed to the end', limit, () =>
  inVolume(async (volume) => {
    await mkdir(join(volume, '..1'));
    await writeFile(join(volume, '..1/key'), '');
    await symlink('..1', join(volume, '..data'));
    await symlink('..data/key', join(volume, 'key'));
    assert.equal(await resolveSubPath(hostNodeFiles, volume, 'key'), join(volume, '..1/key'));
  }),
);

test(
  'a link that leads out of the volume is refused, whatever stands behind it, and nothing is made there',
  limit,
  () =>
    inVolume(async (volume, outside) => {
      await symlink(outside, join(volume, 'out'));
      await symlink('../outside', join(volume, 'up'));
      await symlink('/etc', join(volume, 'etc'));
      await symlink('nowhere', join(volume, 'dangling'));
      for (const path of ['out', 'out/made', 'up', 'etc/passwd', 'dangling'])
        await assert.rejects(resolveSubPath(hostNodeFiles, volume, path), {
          name: 'VolumeError',
          message: `subpath ${JSON.stringify(path)} not within volume path ${JSON.stringify(volume)}`,
        });
      assert.deepEqual(await readdir(outside), []);
      // A neighbour whose name begins the same is outside, too.
      await mkdir(`${volume}-other`);
      await symlink(`${volume}-other`, join(volume, 'near'));
      await assert.rejects(resolveSubPath(hostNodeFiles, volume, 'near'), /not within volume path/);
    }),
);

test('absolute paths and those that climb are refused', limit, () =>
  inVolume(async (volume) => {
    for (const path of ['/etc', '../outside', 'a/../../outside'])
      await assert.rejects(resolveSubPath(hostNodeFiles, volume, path), { name: 'VolumeError' });
  }),
);
