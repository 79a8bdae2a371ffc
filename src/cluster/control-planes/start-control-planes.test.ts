/** A first `up` of several control planes that cannot be: what it was asked for with binds nobody, and it fails in one piece. The ports that it chooses are its own for good. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { sleep } from '#std/clock.ts';
import { Scope } from '#std/scope.ts';
import { freePorts } from '#testkit/etcd-process.ts';
import { clusterPaths } from '../paths.ts';
import { readLayout, writeLayout } from './layout.ts';
import { makeLayout } from './make-layout.ts';
import { type ControlPlanesConfig, startControlPlanes } from './start-control-planes.ts';

const deps = { clock: systemClock, prng: systemPrng(), phase: () => {}, log: () => {} };

function newHome(scope: Scope): string {
  const home = mkdtempSync(join(tmpdir(), 'control-planes-'));
  scope.defer(() => rmSync(home, { recursive: true }));
  return home;
}

function configOf(home: string, name: string): ControlPlanesConfig {
  return {
    ...{ name, nodeName: 'node', paths: clusterPaths(name, { root: false, home }), port: 6443, node: 'none' },
    ...{ podCidr: '10.244.0.0/24', serviceCidr: '10.96.0.0/16', clusterDomain: 'cluster.local' },
    ...{ kubeconfig: undefined, version: 'v1.36.0', waitMs: 1000 },
    ...{ controlPlanes: 3, serverCommand: [process.execPath, '-e', 'process.exit(7)'] },
  };
}

test('a port that is taken, or a range that is none, is not what the cluster was made with', async () => {
  await using scope = new Scope();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer(() => void server.close());
  const config = configOf(newHome(scope), 'a');
  const { port } = server.address() as AddressInfo;
  await assert.rejects(startControlPlanes({ ...config, port }, deps), { code: 'EADDRINUSE', port });
  assert.equal(await readLayout(config.paths), undefined);
  for (const wrong of [{ podCidr: '10.244.0.0' }, { serviceCidr: '10.96.0.0/30' }]) {
    await assert.rejects(startControlPlanes({ ...config, ...wrong }, deps), { message: /CIDR|range/ });
    assert.equal(await readLayout(config.paths), undefined);
  }
});

test('ports of a cluster that is stopped stay its own', async () => {
  await using scope = new Scope();
  const home = newHome(scope);
  const [a, b] = [configOf(home, 'a'), configOf(home, 'b')];
  mkdirSync(a.paths.data, { recursive: true });
  const first = await makeLayout(a, 3);
  await writeLayout(a.paths, first);
  const second = await makeLayout(b, 3);
  const portsOf = ({ controlPlanes, kubeletPort }: typeof first) => [
    ...controlPlanes.map(({ peerPort }) => peerPort),
    kubeletPort,
  ];
  assert.equal(new Set([...portsOf(first), ...portsOf(second)]).size, 8);
  // One that cannot be read holds up nobody else.
  writeFileSync(join(a.paths.data, 'control-planes.json'), '{');
  assert.equal((await makeLayout(b, 3)).controlPlanes.length, 3);
});

test('a program that cannot be started is told of, and is not the end of this process', async () => {
  await using scope = new Scope();
  const config = { ...configOf(newHome(scope), 'a'), port: (await freePorts(1))[0]! };
  const serverCommand = [join(config.paths.share, 'nowhere')];
  await assert.rejects(
    startControlPlanes({ ...config, serverCommand }, deps),
    /^Error: control plane cp-\d ended \(spawn .* ENOENT\)/,
  );
});

test('a start that is not wanted any more takes back what it has begun', async () => {
  await using scope = new Scope();
  const home = newHome(scope);
  const config = { ...configOf(home, 'a'), port: (await freePorts(1))[0]!, waitMs: 60_000 };
  const started = join(home, 'started');
  // Never serves; says who it is.
  const program = `require('fs').appendFileSync(${JSON.stringify(started)}, process.pid + '\\n'); setInterval(() => {}, 1000)`;
  const aborter = new AbortController();
  const starting = startControlPlanes(
    { ...config, serverCommand: [process.execPath, '-e', program, '--'] },
    { ...deps, signal: aborter.signal },
  );
  const pids = () => (existsSync(started) ? readFileSync(started, 'utf8').trim().split('\n').map(Number) : []);
  while (pids().length < 3) await sleep(systemClock, 20);
  const reason = new Error('enough');
  aborter.abort(reason);
  await assert.rejects(starting, reason);
  for (const pid of pids()) while (lives(pid)) await sleep(systemClock, 20);
});

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
