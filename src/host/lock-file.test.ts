/** The lock: one holder, taken over from the dead. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LockedError, lockFile } from './lock-file.ts';

test('a second holder is refused until the first lets go; a dead one counts for nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lock-'));
  try {
    const path = join(folder, 'lock');
    const lock = await lockFile(path);
    await assert.rejects(lockFile(path), LockedError);
    await lock[Symbol.asyncDispose]();
    for (const holder of [`${2 ** 22 + 7} 1\n`, `${process.pid} 1\n`, '', 'nonsense']) {
      writeFileSync(path, holder);
      const next = await lockFile(path);
      await assert.rejects(lockFile(path), LockedError);
      await next[Symbol.asyncDispose]();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
