/** A folder of backups: what is in it is found, whatever else lies there. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lookAtBackups } from './collect-backup.ts';

const home = mkdtempSync(join(tmpdir(), 'doctor-'));
after(() => rmSync(home, { recursive: true, force: true }));

test('no folder, an empty one, and one that holds something else', async () => {
  const none = await lookAtBackups(join(home, 'none'));
  assert.deepEqual([none.archive, none.snapshot], [undefined, undefined]);
  assert.match(none.problems.join(), /ENOENT/);
  const folder = join(home, 'other');
  mkdirSync(folder);
  assert.deepEqual(await lookAtBackups(folder), { folder, archive: undefined, snapshot: undefined, problems: [] });
  writeFileSync(join(folder, 'notes.txt'), 'not a database');
  writeFileSync(join(folder, 'x.db.part'), 'begun');
  assert.deepEqual(await lookAtBackups(folder), { folder, archive: undefined, snapshot: undefined, problems: [] });
});

test('an archive of bases alone is as old as the newest; a damaged segment is told', async () => {
  const folder = join(home, 'archive');
  mkdirSync(folder);
  writeFileSync(join(folder, 'base-0000000000000005-20260130T000000Z.db'), '');
  writeFileSync(join(folder, 'base-0000000000000009-20260131T000000Z.db'), '');
  const { archive } = await lookAtBackups(folder);
  assert.deepEqual(archive, { seenMs: Date.UTC(2026, 0, 31), revision: 9, clusterId: undefined, restorable: true });
  writeFileSync(join(folder, 'segment-0000000000000010.open'), 'no segment');
  const damaged = await lookAtBackups(folder);
  assert.equal(damaged.archive, undefined);
  assert.match(damaged.problems.join(), /segment-0000000000000010\.open/);
});
