/** Three control planes with their sockets in one process: one address, one leader, a stop, a loss of the quorum and the way back. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createKubeClient } from '#kube-client/client.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { sleep } from '#std/clock.ts';
import { Scope } from '#std/scope.ts';
import { prepareControlPlanes } from '#testkit/control-planes-folder.ts';
import { createFetch } from '#transport/fetch.ts';
import { clusterPaths } from '../paths.ts';
import type { PlaneStatus } from './plane-status.ts';
import { planeStatus } from './processes.ts';
import { type Server, startServer } from './start-server.ts';

const names = ['cp-1', 'cp-2', 'cp-3'];
const deps = { clock: systemClock, prng: systemPrng(), log: () => {} };
const configMaps: ResourceRef = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

async function lay(scope: Scope) {
  const home = mkdtempSync(join(tmpdir(), 'control-planes-'));
  scope.defer(() => rmSync(home, { recursive: true, force: true }));
  const paths = clusterPaths('test', { root: false, home, xdgRuntimeDir: join(home, 'run') });
  return { paths, ...(await prepareControlPlanes(paths, names, deps)) };
}

async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 600; i++) {
    const value = await ask();
    if (value !== undefined) return value;
    await sleep(systemClock, 50);
  }
  throw new Error(`${what}: it never came to that`);
}

test('three control planes: any one may go, two may not, all come back with everything', {
  timeout: 120_000,
}, async () => {
  await using scope = new Scope();
  const { paths, layout, certificates } = await lay(scope);
  const servers = new Map<string, Server>();
  scope.defer(async () => {
    await Promise.all([...servers.values()].map((server) => server.stop()));
  });
  const start = async (name: string) => {
    const config = { clusterName: 'test', name, paths, layout, version: 'v1.36.0' };
    servers.set(name, await startServer(config, deps));
  };
  const stop = async (name: string) => {
    await servers.get(name)!.stop();
    servers.delete(name);
  };
  const write = async (name: string) => {
    // A new connection, as a new kubectl has.
    await using fetch = createFetch({
      address: `https://127.0.0.1:${layout.port}`,
      tls: { ca: certificates.ca, ...certificates.admin },
    });
    const client = createKubeClient({ fetch, clock: systemClock, prng: systemPrng() });
    await client.resource<ApiObject>(configMaps, 'default').create({ metadata: { name } });
  };
  const look = async () => {
    const all = await Promise.all(names.map((name) => planeStatus(paths, name, { clock: systemClock })));
    return all.filter((status) => status !== undefined);
  };
  const leader = (all: readonly PlaneStatus[]) => all.find(({ member }) => member?.role === 'leader')?.name;

  await Promise.all(names.map(start));
  for (let i = 0; i < 9; i++) await write(`first-${i}`);
  const all = await look();
  assert.deepEqual(
    all.map(({ phase, open }) => ({ phase, open })),
    names.map(() => ({ phase: 'ready', open: true })),
  );
  assert.equal(all.filter(({ member }) => member?.role === 'leader').length, 1);
  const held = await until('each lease is held by one of them', async () => {
    const leases = (await look())[0]!.leases;
    return leases.length === 2 ? leases : undefined;
  });
  for (const { holder } of held) assert.ok(names.includes(holder));
  await assert.rejects(start('cp-1'), /is held by process/);

  const first = leader(all)!;
  await stop(first);
  for (let i = 0; i < 9; i++) await write(`second-${i}`);
  await start(first);
  const applied = async () => {
    const indexes = (await look()).map(({ member }) => member!.appliedIndex);
    return indexes.length === 3 && Math.max(...indexes) - Math.min(...indexes) < 20 ? true : undefined;
  };
  await until('it catches up', applied);

  // Without a majority there is nobody to ask: the door is closed, and open again with it.
  const [last] = names.filter((name) => name !== first);
  const others = names.filter((name) => name !== last);
  for (const name of others) await stop(name);
  await until('the last one closes its door', async () => (await look())[0]?.open === false || undefined);
  await assert.rejects(write('nobody'), /ECONNREFUSED/);
  await Promise.all(others.map(start));
  await until('all are open', async () => ((await look()).every(({ open }) => open) ? true : undefined));
  await write('third');
});
