/**
 * `bench/etcd.ts [--seconds=N]`: durable puts and linearizable ranges, on the reference and on ours, one after the other on the same
 * disk with the same client. Prints both and the ratio, which is what counts. The client shares the machine: operations
 * per second of the server's own processor time are printed too.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { connectRpc } from '#rpc/client.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';

const seconds = Number(/--seconds=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 5);
const connections = 16;
const clientsPerConnection = 16;
const keys = 100_000;
const value = Buffer.alloc(256, 'v');

interface Rate {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Operations per second of the server's processor time. */
  readonly perCpuSecond: number;
}

type Work = (client: EtcdClient, i: number) => Promise<unknown>;

const works: Readonly<Record<string, { readonly clients: number; readonly work: Work }>> = {
  'put, 16x16 clients': { clients: clientsPerConnection, work: (client, i) => client.put({ key: keyOf(i), value }) },
  'put, 16x1 clients': { clients: 1, work: (client, i) => client.put({ key: keyOf(i), value }) },
  'range one key, 16x16 clients': {
    clients: clientsPerConnection,
    work: (client, i) => client.range({ key: keyOf(i) }),
  },
  'range 100 keys, 16x4 clients': {
    clients: 4,
    work: (client) => client.range({ key: Buffer.from('key'), rangeEnd: Buffer.from('kez'), limit: 100 }),
  },
};

function keyOf(i: number): Buffer {
  return Buffer.from(`key${String((i * 7919) % keys).padStart(13, '0')}`);
}

async function rate(clients: readonly EtcdClient[], perConnection: number, work: Work, pid: number): Promise<Rate> {
  const cpuBefore = cpuSeconds(pid);
  const times: number[] = [];
  let count = 0;
  const start = performance.now();
  const until = start + seconds * 1000;
  const loop = async (client: EtcdClient) => {
    for (let now = performance.now(); now < until; ) {
      await work(client, count++);
      const end = performance.now();
      times.push(end - now);
      now = end;
    }
  };
  await Promise.all(clients.flatMap((client) => Array.from({ length: perConnection }, () => loop(client))));
  const elapsed = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!;
  return {
    perSecond: times.length / elapsed,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    perCpuSecond: times.length / (cpuSeconds(pid) - cpuBefore),
  };
}

/** User and system time of a process (proc(5), in hundredths of a second). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function measure(command: readonly string[]): Promise<Record<string, Rate>> {
  const folder = mkdtempSync(join(process.env['WHERRY_BENCH_FOLDER'] ?? tmpdir(), 'etcd-bench-'));
  try {
    await using server = await startEtcdProcess({ command, dataDir: join(folder, 'data') });
    const target = parseTarget(server.clientUrl);
    const channels = Array.from({ length: connections }, () => connectRpc({ target, clock: systemClock }));
    const clients = channels.map((channel) => createEtcdClient(channel, systemClock));
    const rates: Record<string, Rate> = {};
    for (const [name, { clients: perConnection, work }] of Object.entries(works))
      rates[name] = await rate(clients, perConnection, work, server.child.pid!);
    for (const channel of channels) await channel[Symbol.asyncDispose]();
    return rates;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const reference = await measure([referenceBinary('etcd-server', 'etcd')]);
const ours = await measure([new URL('../bin/wherry', import.meta.url).pathname, 'etcd']);
const cell = ({ perSecond, p50Ms, p99Ms, perCpuSecond }: Rate) =>
  `${perSecond.toFixed(0).padStart(6)}/s p50 ${p50Ms.toFixed(2).padStart(6)} p99 ${p99Ms.toFixed(2).padStart(6)} ms ${perCpuSecond.toFixed(0).padStart(6)}/cpu-s`;
for (const name of Object.keys(works)) {
  const [theirs, our] = [reference[name]!, ours[name]!];
  process.stdout.write(
    `${name.padEnd(30)} reference ${cell(theirs)}   ours ${cell(our)}   ratio ${(our.perSecond / theirs.perSecond).toFixed(2)}, of cpu ${(our.perCpuSecond / theirs.perCpuSecond).toFixed(2)}\n`,
  );
}
