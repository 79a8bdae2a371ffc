/**
 * `wherry up` to a Ready node, cold (empty data folder, new certificates, no compile cache) and warm; a pod from create to Running; memory when idle. Absolute
 * figures beside the goals: what others take stands in the goals' table. Needs root and Linux; runs in namespaces of its own.
 *   bench/up.ts [--times=N]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createKubeClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { createFetch } from '#transport/fetch.ts';
import { enterOwnNamespaces } from '../e2e/own-namespaces.ts';
import { run } from '../e2e/shell.ts';

if (process.getuid?.() !== 0) {
  process.stdout.write('up: needs root\n');
  process.exit(0);
}
const runId = enterOwnNamespaces();

const times = Number(/--times=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 7);
const pods = 30;
const root = new URL('..', import.meta.url).pathname;
const wherry = join(root, 'bin/wherry');
const home = mkdtempSync(join(tmpdir(), 'wherry-bench-'));
const name = `bench${runId}`;
const data = join(home, 'data');
const cluster = ['--name', name, '--data-dir', data];
const env = { ...process.env, HOME: home, KUBECONFIG: join(home, 'kubeconfig') };

/** Milliseconds from the start of the process to "ready". */
function up(): Promise<number> {
  const start = performance.now();
  const child = spawn(wherry, ['up', ...cluster], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.includes('ready in')) resolve(performance.now() - start);
    });
    child.on('close', () => reject(new Error('up ended before it was ready')));
  });
}

const tool = (...args: string[]) => run(wherry, args, { env });

function report(what: string, values: readonly number[], goal: string): void {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(0);
  process.stdout.write(`${what.padEnd(34)} p50 ${at(0.5).padStart(6)}   p99 ${at(0.99).padStart(6)}   goal ${goal}\n`);
}

interface Pod extends ApiObject {
  readonly spec?: unknown;
  readonly status?: { readonly phase?: string };
}

async function podLatencies(): Promise<number[]> {
  const pki = (file: string) => readFileSync(join(data, 'pki', file), 'utf8');
  await using fetch = createFetch({
    address: 'https://127.0.0.1:6443',
    tls: { ca: pki('ca.crt'), certificate: pki('admin.crt'), key: pki('admin.key') },
  });
  const client = createKubeClient({ fetch, clock: systemClock, prng: systemPrng() }).resource<Pod>(
    { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true },
    'default',
  );
  const latencies: number[] = [];
  for (let i = 0; i < pods; i++) {
    const aborter = new AbortController();
    const { metadata } = await client.list();
    const start = performance.now();
    await client.create({
      metadata: { name: `p${i}` },
      spec: { containers: [{ name: 'c', image: 'wherry/hello:1' }] },
    });
    for await (const { object } of client.watch({
      resourceVersion: metadata.resourceVersion ?? '',
      fieldSelector: `metadata.name=p${i}`,
      signal: aborter.signal,
    }))
      if (object.status?.phase === 'Running') break;
    latencies.push(performance.now() - start);
    aborter.abort();
  }
  return latencies;
}

try {
  // A bundle that is older than the sources is made now, not within the first start.
  await tool('version');
  const cold: number[] = [];
  const warm: number[] = [];
  for (let i = 0; i < times; i++) {
    rmSync(join(root, '.cache/compile'), { recursive: true, force: true });
    cold.push(await up());
    await tool('stop', ...cluster);
    warm.push(await up());
    if (i < times - 1) await tool('down', '--purge', ...cluster);
  }
  report('up to Ready, cold (ms)', cold, 'under 1000');
  report('up to Ready, warm (ms)', warm, 'under 1000');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const idle = JSON.parse((await tool('status', '-o', 'json', ...cluster)).stdout) as { readonly memoryBytes: number };
  report('pod created to Running (ms)', await podLatencies(), 'under 200');
  report('idle memory, whole cluster (MiB)', [idle.memoryBytes / 2 ** 20], 'under 120');
} finally {
  await tool('down', '--purge', ...cluster);
  rmSync(home, { recursive: true, force: true });
}
