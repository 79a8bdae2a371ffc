/**
 * Starts many clusters in this process, stops all but one, and counts what V8 has alive before and after. In a process of its own, run with
 * `--expose-gc`: a test runner's own bookkeeping of promises would be most of what is counted, and of the time.
 */
import { queryObjects } from 'node:v8';
import { systemClock } from '#host/clock.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';
import { OneTimerClock } from '#std/one-timer-clock.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { Cluster } from '#test/cluster.ts';

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };

export interface Alive {
  /** Of every class, promises and signals among them. */
  readonly objects: number;
  /** On the heap and in buffers. */
  readonly bytes: number;
  readonly handles: readonly string[];
}

export interface HundredClusters {
  /** One cluster, before the others came. */
  readonly one: Alive;
  /** Bytes with all of them. */
  readonly allBytes: number;
  /** The same one, after the others went. */
  readonly left: Alive;
  /** Timers still pending on the clocks of the stopped ones. */
  readonly pending: number;
  /** Names of pods in each of the first clusters: each has its own. */
  readonly pods: readonly (readonly string[])[];
  /** Phase of a pod made in the cluster that is left. */
  readonly phase: string | undefined;
}

export async function hundredClusters(count: number): Promise<HundredClusters> {
  // What a process makes once, code and tables of types, is not a cluster's.
  await stop(await start(3, () => new VirtualClock()));
  await using kept = await Cluster.start({ clock: 'virtual', seed: 1 });
  await runPod(kept, 'before');
  const one = await takeStock();
  const clocks: VirtualClock[] = [];
  const { allBytes, names } = await withClusters(count - 1, clocks);
  const pending = clocks.splice(0).reduce((sum, clock) => sum + clock.pending, 0);
  const left = await takeStock();
  return { one, allBytes, left, pending, pods: names, phase: await runPod(kept, 'after') };
}

async function withClusters(count: number, clocks: VirtualClock[]) {
  const clusters = await start(count, () => {
    const clock = new VirtualClock();
    clocks.push(clock);
    return clock;
  });
  await Promise.all(clusters.slice(0, 3).map((cluster, i) => runPod(cluster, `own-${i}`)));
  const lists = await Promise.all(clusters.slice(0, 4).map((cluster) => cluster.client.resource(pods).list()));
  const allBytes = bytesInUse();
  await stop(clusters);
  return { allBytes, names: lists.map(({ items }) => items.map(({ metadata }) => metadata.name!)) };
}

/** Timers of the process that clusters in real time hold: together when idle, and when stopped. */
export async function timersInRealTime(count: number): Promise<{ readonly idle: number; readonly stopped: number }> {
  let timers = 0;
  const counting: Clock = {
    now: () => systemClock.now(),
    monotonicMs: () => systemClock.monotonicMs(),
    after(delayMs, callback) {
      let pending = true;
      const settle = () => {
        if (pending) timers--;
        pending = false;
      };
      timers++;
      const timer = systemClock.after(delayMs, () => {
        settle();
        callback();
      });
      return {
        [Symbol.dispose]() {
          settle();
          timer[Symbol.dispose]();
        },
      };
    },
  };
  const alive = setInterval(() => {}, 1000);
  const clusters = await start(count, () => new OneTimerClock(counting));
  const idle = timers;
  await stop(clusters);
  clearInterval(alive);
  return { idle, stopped: timers };
}

const start = (count: number, clock: () => Clock) =>
  Promise.all(Array.from({ length: count }, (_, i) => Cluster.start({ clock: clock(), seed: 100 + i })));

const stop = (clusters: readonly Cluster[]) => Promise.all(clusters.map((cluster) => cluster[Symbol.asyncDispose]()));

async function runPod(cluster: Cluster, name: string): Promise<string | undefined> {
  const client = cluster.client.resource<ApiObject & { readonly status?: { readonly phase?: string } }>(
    pods,
    'default',
  );
  await client.create({ metadata: { name }, spec: { containers: [{ name: 'c', image: 'app:1' }] } } as ApiObject);
  await cluster.advance('10s');
  return (await client.get(name)).status?.phase;
}

/** What is alive once garbage is gone, and what its finalizers let go of. */
async function takeStock(): Promise<Alive> {
  return {
    bytes: await settledBytes(),
    objects: queryObjects(Object, { format: 'count' }) as unknown as number,
    handles: process.getActiveResourcesInfo().filter((name) => name !== 'Immediate'),
  };
}

/** Collections that find nothing more in a row, before what is left counts. */
const quietCollections = 3;

/** Buffers that a collection found dead are given back by threads of the engine, in their own time, and what their finalizers let go of by the next collection. */
async function settledBytes(): Promise<number> {
  let least = bytesInUse();
  for (let quiet = 0; quiet < quietCollections; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const bytes = bytesInUse();
    quiet = bytes < least ? 0 : quiet + 1;
    least = Math.min(least, bytes);
  }
  return least;
}

function bytesInUse(): number {
  globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
