/** Which processes are control planes: those that hold the lock, and nobody who has their number, or a name like theirs, by chance. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { systemClock } from '#host/clock.ts';
import { lockFile } from '#host/lock-file.ts';
import { Scope } from '#std/scope.ts';
import { clusterPaths } from '../paths.ts';
import type { ClusterLayout } from './layout.ts';
import { planePaths } from './plane-paths.ts';
import { livePlane, livePlanes, stopPlanes } from './processes.ts';

const layout: ClusterLayout = {
  controlPlanes: [{ name: 'cp-1', peerPort: 2380 }],
  ...{ port: 6443, kubeletPort: 2381, nodeIp: '127.0.0.1' },
  ...{ podCidr: '10.244.0.0/24', serviceCidr: '10.96.0.0/16', clusterDomain: 'cluster.local' },
};

function newPaths(scope: Scope) {
  const home = mkdtempSync(join(tmpdir(), 'planes-'));
  scope.defer(() => rmSync(home, { recursive: true }));
  const paths = clusterPaths('test', { root: false, home });
  mkdirSync(paths.run, { recursive: true });
  return paths;
}

test('a control plane lives while its process holds the lock', async () => {
  await using scope = new Scope();
  const paths = newPaths(scope);
  assert.equal(await livePlane(paths, 'cp-1'), undefined);
  const lock = await lockFile(planePaths(paths, 'cp-1').lock);
  assert.equal((await livePlane(paths, 'cp-1'))?.pid, process.pid);
  await lock[Symbol.asyncDispose]();
  assert.equal(await livePlane(paths, 'cp-1'), undefined);
});

test('a process that got the number of a dead control plane is none, and is left alone', async () => {
  await using scope = new Scope();
  const paths = newPaths(scope);
  // Another cluster's, of the same name.
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', '--control-plane', 'cp-1']);
  const ended = once(child, 'exit');
  scope.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child, 'spawn');
  writeFileSync(planePaths(paths, 'cp-1').lock, `${child.pid} 1\n`);
  writeFileSync(join(paths.run, 'cp-1.json'), JSON.stringify({ pid: child.pid, name: 'cp-1' }));
  assert.deepEqual(await livePlanes(paths, layout), []);
  await stopPlanes(paths, layout, { clock: systemClock, graceMs: 0 });
  assert.equal(child.exitCode ?? child.signalCode, null);
});
