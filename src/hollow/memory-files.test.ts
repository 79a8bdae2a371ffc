/** Files in memory behave as the kubelet expects of a disk: links, rotation, readers who wait, and what is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainTurns } from '#host/event-loop.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { MemoryFiles } from './memory-files.ts';

test('a link is followed on the way and at the end, and replaced whole', async () => {
  const files = new MemoryFiles(new VirtualClock());
  await files.replaceFile('/v/..one/key', 'old');
  await files.replaceFile('/v/..two/key', 'new');
  await files.replaceLink('/v/..data', '..one');
  await files.replaceLink('/v/key', '..data/key');
  assert.equal(String(await files.readIfThere('/v/key')), 'old');
  await files.replaceLink('/v/..data', '..two');
  assert.equal(String(await files.readIfThere('/v/key')), 'new');
  assert.equal(await files.kindOf('/v/key'), 'link');
  await files.removeTree('/v/..two');
  assert.equal(await files.readIfThere('/v/key'), undefined);
  assert.deepEqual(await files.listFolder('/v'), ['..data', '..one', 'key']);
});

test('a link to itself is nothing, and a file is no folder', async () => {
  const files = new MemoryFiles(new VirtualClock());
  await files.replaceLink('/a', 'a');
  assert.equal(await files.readIfThere('/a'), undefined);
  await files.replaceFile('/f', '');
  await assert.rejects(files.makeFolder('/f/g'), { code: 'ENOTDIR' });
  await assert.rejects(files.openTail('/none'), { code: 'ENOENT' });
  assert.equal(await files.kindOf('/var/log'), 'folder');
});

test('a reader learns of a line at once, of silence after its time, and of a new file at the limit', async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles(clock);
  files.append('/log', 'one\n');
  const tail = await files.openTail('/log');
  const { signal } = new AbortController();
  let told = 0;
  void tail.changed(1000, signal).then(() => told++);
  files.append('/log', 'two\n');
  await drainTurns();
  assert.equal(told, 1);
  assert.equal(String(await tail.read(4, 10)), 'two\n');
  void tail.changed(1000, signal).then(() => told++);
  await clock.advance(1000, drainTurns);
  assert.equal(told, 2);
  assert.equal(clock.pending, 0);
  assert.equal(await tail.replaced(), false);
  files.append('/log', 'x'.repeat(1 << 20));
  assert.equal(await tail.replaced(), true);
  await tail.reopen();
  assert.equal(await tail.size(), 1 << 20);
});

test('the real path of a link is where it leads', async () => {
  const files = new MemoryFiles(new VirtualClock());
  await files.replaceFile('/v/..1/key', '');
  await files.replaceLink('/v/..data', '..1');
  await files.replaceLink('/v/out', '/etc');
  assert.equal(await files.realPath('/v/..data/key'), '/v/..1/key');
  assert.equal(await files.realPath('/v/out'), '/etc');
  assert.equal(await files.realPath('/v/../v'), '/v');
  assert.equal(await files.realPath('/'), '/');
  assert.equal(await files.realPath('/v/none'), undefined);
});
