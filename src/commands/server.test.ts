/** `wherry server`, alone of three: it waits for a majority, and ends at once when it is told to. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { writeLayout } from '#cluster/control-planes/layout.ts';
import { livePlane, planeStatus } from '#cluster/control-planes/processes.ts';
import { clusterPaths } from '#cluster/paths.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { sleep } from '#std/clock.ts';
import { Scope } from '#std/scope.ts';
import { prepareControlPlanes } from '#testkit/control-planes-folder.ts';
import { pathEnvironment } from './environment.ts';

const names = ['cp-1', 'cp-2', 'cp-3'];
const main = join(import.meta.dirname, 'main.ts');
const node = join(import.meta.dirname, '../../bin/node');

test('a control plane that waits for a majority ends at the first signal', { timeout: 60_000 }, async () => {
  await using scope = new Scope();
  const home = mkdtempSync(join(tmpdir(), 'server-'));
  scope.defer(() => rmSync(home, { recursive: true }));
  const env = { ...process.env, XDG_RUNTIME_DIR: home };
  const cluster = `server-test-${process.pid}`;
  const paths = clusterPaths(cluster, pathEnvironment(env), join(home, 'data'));
  // As root it is no folder of ours.
  scope.defer(() => rmSync(paths.run, { recursive: true }));
  const deps = { clock: systemClock, prng: systemPrng() };
  const { layout } = await prepareControlPlanes(paths, names, deps);
  mkdirSync(paths.data, { recursive: true });
  await writeLayout(paths, layout);

  const args = [main, 'server', '--name', cluster, '--data-dir', paths.data, '--control-plane', 'cp-1'];
  const child = spawn(node, args, { stdio: 'ignore', env });
  scope.defer(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  while ((await planeStatus(paths, 'cp-1', deps))?.member === undefined) {
    assert.equal(child.exitCode, null);
    await sleep(systemClock, 20);
  }
  assert.equal((await livePlane(paths, 'cp-1'))?.pid, child.pid);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.equal(await livePlane(paths, 'cp-1'), undefined);
});
