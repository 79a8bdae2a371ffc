/**
 * What every snapshotter must do, whoever keeps the files. Re-expresses containerd's snapshotter suite: isolation of siblings, commits as
 * parents, deletions that show, refusals.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type MountRequest, mount, unmount } from '#host-linux/mount.ts';
import type { Snapshotter } from './snapshotter.ts';

export function snapshotterSuite(name: string, open: () => Promise<Snapshotter>): void {
  async function inside(mounts: readonly MountRequest[], work: (root: string) => void): Promise<void> {
    const root = mkdtempSync(join(tmpdir(), 'wherry-snapshot-'));
    try {
      for (const request of mounts) mount(request, root);
      work(root);
    } finally {
      for (const _ of mounts) unmount(root);
      rmSync(root, { recursive: true });
    }
  }

  async function layer(snapshots: Snapshotter, target: string, parent: string, work: (root: string) => void) {
    await inside(await snapshots.prepare(`extract-${target}`, parent), work);
    await snapshots.commit(target, `extract-${target}`);
  }

  test(`${name}: what a layer changes shows in its children and nowhere else`, async () => {
    const snapshots = await open();
    await layer(snapshots, 'base', '', (root) => {
      writeFileSync(join(root, 'a'), 'base');
      mkdirSync(join(root, 'd'));
      writeFileSync(join(root, 'd/x'), 'x');
    });
    await layer(snapshots, 'second', 'base', (root) => {
      assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'base');
      writeFileSync(join(root, 'a'), 'second');
      rmSync(join(root, 'd'), { recursive: true });
    });
    await inside(await snapshots.prepare('container-1', 'second'), (root) => {
      assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'second');
      assert.equal(existsSync(join(root, 'd')), false);
      writeFileSync(join(root, 'own'), '1');
    });
    await inside(snapshots.mounts('container-1'), (root) => assert.ok(existsSync(join(root, 'own'))));
    await inside(await snapshots.prepare('container-2', 'second'), (root) => assert.ok(!existsSync(join(root, 'own'))));
    for (const parent of ['base', 'second'])
      await inside(await snapshots.view(`view-${parent}`, parent), (root) => {
        assert.equal(readFileSync(join(root, 'a'), 'utf8'), parent);
        assert.throws(() => writeFileSync(join(root, 'b'), ''), { code: 'EROFS' });
      });
    assert.deepEqual(
      snapshots
        .list()
        .map((info) => [info.name, info.kind, info.parent])
        .sort(),
      [
        ['base', 'committed', ''],
        ['container-1', 'active', 'second'],
        ['container-2', 'active', 'second'],
        ['second', 'committed', 'base'],
        ['view-base', 'view', 'base'],
        ['view-second', 'view', 'second'],
      ],
    );
  });

  test(`${name}: layers filled side by side are stacked when they are committed`, async () => {
    const snapshots = await open();
    const top = await snapshots.prepare('extract-top', '');
    await inside(top, (root) => writeFileSync(join(root, 'top'), ''));
    await layer(snapshots, 'bottom', '', (root) => writeFileSync(join(root, 'bottom'), ''));
    await snapshots.commit('top', 'extract-top', { parent: 'bottom' });
    await inside(await snapshots.prepare('c', 'top'), (root) =>
      assert.ok(existsSync(join(root, 'top')) && existsSync(join(root, 'bottom'))),
    );
  });

  test(`${name}: names are taken once, parents must be committed, what is stood on stays`, async () => {
    const snapshots = await open();
    await layer(snapshots, 'base', '', () => {});
    await snapshots.prepare('active', 'base', { labels: { a: 'b' } });
    await assert.rejects(snapshots.prepare('active', ''), {
      code: 'AlreadyExists',
      message: 'snapshot active: already exists',
    });
    await assert.rejects(snapshots.prepare('x', 'active'), { code: 'InvalidArgument' });
    await assert.rejects(snapshots.prepare('x', 'nothing'), {
      code: 'NotFound',
      message: 'snapshot nothing does not exist: not found',
    });
    await assert.rejects(snapshots.commit('base', 'active'), { code: 'AlreadyExists' });
    await assert.rejects(snapshots.commit('y', 'base'), { code: 'FailedPrecondition' });
    await assert.rejects(snapshots.remove('base'), {
      code: 'FailedPrecondition',
      message: 'cannot remove snapshot with child: failed precondition',
    });
    assert.throws(() => snapshots.stat('nothing'), { code: 'NotFound' });
    assert.deepEqual((await snapshots.update('active', { c: 'd', a: '' })).labels, { c: 'd' });
    await snapshots.remove('active');
    await snapshots.remove('base');
    await assert.rejects(snapshots.remove('base'), { code: 'NotFound' });
    assert.deepEqual(snapshots.list(), []);
  });

  test(`${name}: usage counts a snapshot's own files`, async () => {
    const snapshots = await open();
    await layer(snapshots, 'base', '', (root) => writeFileSync(join(root, 'f'), Buffer.alloc(1 << 20, 1)));
    await snapshots.prepare('active', 'base');
    assert.ok((await snapshots.usage('base')).bytes >= 1 << 20);
    assert.ok((await snapshots.usage('active')).bytes < 1 << 16);
  });
}
