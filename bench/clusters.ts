/**
 * Many clusters in one process: what one more costs to start, to keep and to leave idle, beside the goals. Figures are of the sources on this machine: nobody
 * else has what they could be compared with in the same run.
 *   bench/clusters.ts [--clusters=100]
 */
import { cpus } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Disk } from '#host/disk.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { Cluster, type ClusterOptions } from '#test/cluster.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');
const count = Number(/--clusters=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 100);
const inRealTime = 20;
const realSeconds = 30;
const hours = 6;

function report(what: string, value: string, goal = ''): void {
  process.stdout.write(`${what.padEnd(58)} ${value.padStart(14)}   ${goal && `goal ${goal}`}\n`);
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
const ms = (value: number) => `${value.toFixed(1)} ms`;

function bytesInUse(): number {
  for (let i = 0; i < 3; i++) collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Milliseconds of processor since `start`. */
function cpuMs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

const stop = (clusters: readonly Cluster[]) => Promise.all(clusters.map((cluster) => cluster[Symbol.asyncDispose]()));

async function startMany(options: ClusterOptions, howMany: number) {
  const clusters: Cluster[] = [];
  const wall: number[] = [];
  const before = bytesInUse();
  const cpu = process.cpuUsage();
  for (let seed = 0; seed < howMany; seed++) {
    const at = performance.now();
    clusters.push(await Cluster.start({ ...options, seed }));
    wall.push(performance.now() - at);
  }
  const cpuEach = cpuMs(cpu) / howMany;
  wall.sort((a, b) => a - b);
  const at = (share: number) => wall[Math.min(howMany - 1, Math.floor(howMany * share))]!;
  return { clusters, p50: at(0.5), p99: at(0.99), cpuEach, bytesEach: (bytesInUse() - before) / howMany };
}

/** Real time with nothing else to do would end the process: timers of clusters keep nothing alive. */
const alive = setInterval(() => {}, 60_000);
process.stdout.write(`${count} clusters, ${cpus()[0]?.model}, Node ${process.version}\n`);
await stop((await startMany({ clock: 'virtual' }, 5)).clusters);

for (const node of ['none', 'hollow'] as const) {
  const name = node === 'none' ? 'control plane' : 'cluster with a node';
  const { clusters, p50, p99, cpuEach, bytesEach } = await startMany({ clock: 'virtual', node }, count);
  report(`one more ${name}: start, p50`, ms(p50), 'under 50 ms');
  report(`one more ${name}: start, p99`, ms(p99));
  report(`one more ${name}: start, processor`, ms(cpuEach));
  report(`one more ${name}: memory`, mib(bytesEach), 'under 5 MB');
  const at = performance.now();
  await stop(clusters);
  report(`one ${name} less: stop`, ms((performance.now() - at) / count));
}

{
  await using cluster = await Cluster.start({ clock: 'virtual', seed: 1 });
  await cluster.advance('1h');
  const cpu = process.cpuUsage();
  const at = performance.now();
  await cluster.advance(`${hours}h`);
  const wallMs = performance.now() - at;
  report('an idle hour of virtual time, every heartbeat: processor', ms(cpuMs(cpu) / hours));
  report('a virtual day, every heartbeat', `${((wallMs * 24) / hours / 1000).toFixed(1)} s`, 'under 60 s');
  report('virtual days in a second', ((hours / 24 / wallMs) * 1000).toFixed(3));
}

{
  const { clusters } = await startMany({ clock: 'real' }, inRealTime);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const cpu = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, realSeconds * 1000));
  const perMinute = (cpuMs(cpu) / inRealTime) * (60 / realSeconds);
  report('an idle minute of real time: processor for each cluster', ms(perMinute));
  report('idle clusters that one processor carries', (60_000 / perMinute).toFixed(0));
  await stop(clusters);
}

{
  const disk = new MemoryDisk();
  const counts = { syncs: 0, bytes: 0 };
  await using cluster = await Cluster.start({ clock: 'virtual', seed: 1, disk: counting(disk, counts) });
  await cluster.advance('1m');
  counts.syncs = 0;
  counts.bytes = 0;
  await cluster.advance('1h');
  report('fsyncs of an idle durable cluster in a minute', (counts.syncs / 60).toFixed(1));
  report('bytes it writes in a minute', (counts.bytes / 60).toFixed(0));
}
clearInterval(alive);

function counting(disk: Disk, counts: { syncs: number; bytes: number }): Disk {
  return {
    list: (folder) => disk.list(folder),
    read: (path) => disk.read(path),
    makeFolder: (path) => disk.makeFolder(path),
    rename: (source, target) => disk.rename(source, target),
    remove: (path) => disk.remove(path),
    lock: (path) => disk.lock(path),
    syncFolder: (path) => {
      counts.syncs++;
      return disk.syncFolder(path);
    },
    open: async (path) => {
      const file = await disk.open(path);
      return {
        read: (position, length) => file.read(position, length),
        truncate: (size) => file.truncate(size),
        write(bytes, position) {
          counts.bytes += bytes.length;
          return file.write(bytes, position);
        },
        sync() {
          counts.syncs++;
          return file.sync();
        },
        [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
      };
    },
  };
}
