/** The overlay snapshotter under the suite, and what only it does: cleaning up after a crash. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '#host/clock.ts';
import { openMetadataStore } from '#image/metadata-store.ts';
import { openOverlaySnapshotter } from './overlay.ts';
import { snapshotterSuite } from './snapshotter.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'wherry-overlay-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

async function open() {
  const root = join(folder, String(count++));
  return openOverlaySnapshotter({ root, metadata: await openMetadataStore(join(root, 'meta')), clock: systemClock });
}

snapshotterSuite('overlay', open);

test('folders that nothing names are removed', async () => {
  const snapshots = await open();
  await snapshots.prepare('kept', '');
  const kept = snapshots.upperFolder('kept');
  const orphan = join(kept, '../../99');
  mkdirSync(join(orphan, 'fs'), { recursive: true });
  await snapshots.cleanup();
  assert.deepEqual([existsSync(kept), existsSync(orphan)], [true, false]);
});
