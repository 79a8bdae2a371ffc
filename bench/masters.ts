/**
 * Three control planes on one machine: `up --control-planes 3` to a Ready node, cold and warm; memory when idle; the one that leads etcd killed (`kill -9`) to the first
 * write that is acknowledged at the cluster's address. Absolute figures; the time without a leader beside Debian's etcd is `bench/etcd.ts`'s. Needs root and Linux;
 * runs in namespaces of its own.
 *   bench/masters.ts [--times=N] [--kills=N]
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createKubeClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { createFetch } from '#transport/fetch.ts';
import { enterOwnNamespaces } from '../e2e/own-namespaces.ts';
import { eventually, run } from '../e2e/shell.ts';

if (process.getuid?.() !== 0) {
  process.stdout.write('masters: needs root\n');
  process.exit(0);
}
const runId = enterOwnNamespaces();

const flag = (name: string, standard: number) =>
  Number(new RegExp(`--${name}=(\\d+)`).exec(process.argv.join(' '))?.[1] ?? standard);
const times = flag('times', 3);
const kills = flag('kills', 6);
const root = new URL('..', import.meta.url).pathname;
const wherry = join(root, 'bin/wherry');
const home = mkdtempSync(join(tmpdir(), 'wherry-bench-'));
const cluster = ['--name', `bench${runId}`, '--data-dir', join(home, 'data')];
const env = { ...process.env, HOME: home, KUBECONFIG: join(home, 'kubeconfig') };
const tool = async (...args: string[]) => (await run(wherry, args, { env })).stdout;

interface Status {
  readonly leader?: string;
  readonly pid: number;
  readonly memoryBytes: number;
  readonly controlPlanes: readonly {
    readonly name: string;
    readonly pid?: number;
    readonly state: string;
    readonly lag?: number;
    readonly memoryBytes: number;
  }[];
}
const status = async () => JSON.parse(await tool('status', '-o', 'json', ...cluster)) as Status;

/** Milliseconds from the start of the process to "ready". */
function up(): Promise<number> {
  const start = performance.now();
  const child = spawn(wherry, ['up', ...cluster, '--control-planes', '3'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.includes('ready in')) resolve(performance.now() - start);
    });
    child.on('close', () => reject(new Error('up ended before it was ready')));
  });
}

/** Names of what was acknowledged. */
const acknowledged = new Set<string>();

/** Milliseconds from the death of the leader to the first acknowledged write, by a client that tries again. */
async function killLeader(round: number): Promise<number> {
  const { leader, controlPlanes } = await status();
  const victim = controlPlanes.find(({ name }) => name === leader)!;
  process.kill(victim.pid!, 'SIGKILL');
  const killedMs = performance.now();
  for (let attempt = 0; ; attempt++) {
    // A new connection each time, as a new kubectl has.
    await using connection = connect();
    const name = `k${round}-${attempt}`;
    try {
      await connection.maps.create({ metadata: { name } });
      acknowledged.add(name);
      return performance.now() - killedMs;
    } catch (error) {
      if (performance.now() - killedMs > 30_000) throw error;
    }
  }
}

/** With the administrator's certificate, at the cluster's address. */
function connect() {
  const pki = (file: string) => readFileSync(join(home, 'data/pki', file), 'utf8');
  const tls = { ca: pki('ca.crt'), certificate: pki('admin.crt'), key: pki('admin.key') };
  const fetch = createFetch({ address: 'https://127.0.0.1:6443', tls });
  const client = createKubeClient({ fetch, clock: systemClock, prng: systemPrng() });
  const ref = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true };
  return {
    maps: client.resource<ApiObject>(ref, 'default'),
    [Symbol.asyncDispose]: () => fetch[Symbol.asyncDispose](),
  };
}

/** A figure of writes that were lost would be none. */
async function assertKept(): Promise<void> {
  await using connection = connect();
  const { items } = await connection.maps.list();
  const there = new Set(items.map(({ metadata }) => metadata.name));
  assert.deepEqual(
    [...acknowledged].filter((name) => !there.has(name)),
    [],
    'acknowledged and lost',
  );
}

function report(what: string, values: readonly number[]): void {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(0);
  process.stdout.write(
    `${what.padEnd(46)} p50 ${at(0.5).padStart(6)}   max ${at(1).padStart(6)}   n ${sorted.length}\n`,
  );
}

try {
  const cold: number[] = [];
  const warm: number[] = [];
  for (let i = 0; i < times; i++) {
    rmSync(join(root, '.cache/compile'), { recursive: true, force: true });
    cold.push(await up());
    await tool('stop', ...cluster);
    warm.push(await up());
    if (i < times - 1) await tool('down', '--purge', ...cluster);
  }
  report('up --control-planes 3 to Ready, cold (ms)', cold);
  report('up --control-planes 3 to Ready, warm (ms)', warm);
  await sleep(5000);
  const idle = await status();
  const planes = idle.controlPlanes.map(({ memoryBytes }) => memoryBytes / 2 ** 20);
  report('idle memory, each control plane (MiB)', planes);
  report('idle memory, node (MiB)', [idle.memoryBytes / 2 ** 20 - planes.reduce((sum, each) => sum + each, 0)]);
  report('idle memory, whole cluster (MiB)', [idle.memoryBytes / 2 ** 20]);
  const gaps: number[] = [];
  const back: number[] = [];
  for (let round = 0; round < kills; round++) {
    gaps.push(await killLeader(round));
    const startMs = performance.now();
    await tool('up', ...cluster);
    back.push(performance.now() - startMs);
    await eventually(
      'all have caught up',
      status,
      ({ controlPlanes }) =>
        controlPlanes.every(({ state, lag }) => state === 'ready' && lag !== undefined && lag < 20),
      60_000,
    );
  }
  await assertKept();
  report('leader killed to first acknowledged write (ms)', gaps);
  report('up brings the dead one back (ms)', back);
} finally {
  await tool('down', '--purge', ...cluster);
  rmSync(home, { recursive: true, force: true });
}
