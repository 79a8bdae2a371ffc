/** The lock: one holder, taken over from the dead. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { drainTurns } from './event-loop.ts';
import { LockedError, lockFile, lockHolder } from './lock-file.ts';

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

test('a process that has ended and that nobody has waited for holds nothing', {
  skip: process.platform !== 'linux' && 'no /proc',
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lock-'));
  // Its child ends at the first line, and is never waited for: the shell that would is another program by then.
  const script = '(read -r line <&3) & echo $!; exec "$0" --eval "setTimeout(() => {}, 60_000)"';
  const parent = spawn('/bin/sh', ['-c', script, process.execPath], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  try {
    const path = join(folder, 'lock');
    const [line] = (await once(parent.stdout!, 'data')) as [Buffer];
    const pid = Number(line);
    const stat = () =>
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
    writeFileSync(path, `${pid} ${stat()[19]}\n`);
    assert.equal((await lockHolder(path))?.pid, pid);
    (parent.stdio[3] as NodeJS.WritableStream).write('\n');
    while (stat()[0] !== 'Z') await drainTurns();
    assert.equal(await lockHolder(path), undefined);
  } finally {
    parent.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});
