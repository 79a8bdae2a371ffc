/** A hundred clusters in one process, then 99 of them stopped: the one that is left goes on, and of the others nothing is left. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import type { HundredClusters } from '#testkit/hundred-clusters.ts';

const limit = { timeout: 240_000 };
const script = new URL('../testkit/hundred-clusters.ts', import.meta.url).href;

async function inOwnProcess<T>(call: string): Promise<T> {
  const code = `import * as script from ${JSON.stringify(script)};
    process.stdout.write(JSON.stringify(await script.${call}));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '--input-type=module-typescript', '--eval', code],
    { timeout: 200_000 },
  );
  return JSON.parse(stdout) as T;
}

test('of 99 stopped clusters no timer, no handle and no object is left', limit, async () => {
  const { one, allBytes, left, pending, pods, phase } = await inOwnProcess<HundredClusters>('hundredClusters(100)');
  assert.deepEqual(pods, [['own-0'], ['own-1'], ['own-2'], []]);
  assert.equal(phase, 'Running', 'the hundredth goes on');
  assert.equal(pending, 0);
  assert.deepEqual(left.handles, one.handles);
  // A cluster is some 20,000 objects. What is left is less than one for each that was stopped.
  assert.ok(left.objects - one.objects < 99, `${left.objects - one.objects} objects are left`);
  // Bytes are also code that the machine compiled meanwhile: a bound, of about one cluster.
  assert.ok(left.bytes - one.bytes < 4 << 20, `${left.bytes - one.bytes} bytes are left`);
  assert.ok(allBytes - one.bytes < 99 * (5 << 20), `${(allBytes - one.bytes) / 99} bytes a cluster`);
});

test('in real time an idle cluster holds one timer of its process, and none once it is stopped', limit, async () => {
  const { idle, stopped } = await inOwnProcess<{ idle: number; stopped: number }>('timersInRealTime(3)');
  assert.ok(idle <= 3, `${idle} timers for three clusters`);
  assert.equal(stopped, 0);
});
