/**
 * `bench/etcd-scale.ts [--keys=N]`: what size costs, on the reference and on ours, one after the other on the same disk: 1,000 watchers of one key, 100,000 watchers that
 * wait, a million keys in memory and over a restart, and how long writes wait while history is compacted and the file is defragmented. Prints both and the
 * ratio. The client is one process of JavaScript and shares the machine: where it is the limit, the servers' own processor time says more.
 */

import { KV, Maintenance, PutRequest, TxnRequest, Watch, WatchCreateRequest } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { EtcdCluster, type Kind, type MemberProcess } from '#testkit/etcd-cluster.ts';
import { cpuSeconds, residentMiB } from './load/h2load.ts';

const keys = Number(/--keys=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 1_000_000);
const watchers = 1000;
const idleWatchers = 100_000;
const connections = 10;
const putsWatched = 100;
const keysInTxn = 100;
const value = Buffer.alloc(300 - 11, 'v');
const writers = 8;
const quota = ['--quota-backend-bytes', String(8 * 2 ** 30)];

interface Figure {
  readonly text: string;
  /** What the ratio is of. */
  readonly value: number;
  readonly better: 'more' | 'less';
}
type Figures = Map<string, Figure>;

const keyOf = (number: number) => Buffer.from(`k${String(number).padStart(10, '0')}`);
const less = (value: number, unit: string): Figure => ({ text: `${value.toFixed(1)} ${unit}`, value, better: 'less' });

async function measure(kind: Kind): Promise<Figures> {
  const figures: Figures = new Map();
  await using cluster = await EtcdCluster.start([kind], quota);
  const member = cluster.members[0]!;
  const pid = () => member.child!.pid!;
  await fanOut(cluster, member, pid(), figures);
  await waitIdle(cluster, member, pid(), figures);
  await using channel = cluster.channel(member);
  await fill(channel, 0, keys);
  figures.set(`memory with ${keys} keys of 300 bytes`, less(residentMiB(pid()), 'MiB'));
  await cluster.stop(member);
  const startMs = performance.now();
  cluster.run(member, 'new');
  await cluster.serving(member, 120_000);
  figures.set('restart with them', less((performance.now() - startMs) / 1000, 's'));
  figures.set('memory after it', less(residentMiB(pid()), 'MiB'));
  await using again = cluster.channel(member);
  const { header } = await fill(again, 0, Math.floor(keys / 3));
  const steady = await writesDuring(again, () => new Promise((resolve) => setTimeout(resolve, 3000)));
  figures.set('puts, nothing else', steady);
  const client = createEtcdClient(again, systemClock);
  const compacting = await writesDuring(again, () => client.compact({ revision: header!.revision, physical: true }));
  figures.set('puts while history is compacted', compacting);
  const defragmenting = await writesDuring(again, () => again.unary(Maintenance.methods.defragment, {}));
  figures.set('puts while the file is defragmented', defragmenting);
  return figures;
}

/** Many watch one key: how many events arrive in a second, and how long the last of them waits. */
async function fanOut(cluster: EtcdCluster, member: MemberProcess, pid: number, figures: Figures): Promise<void> {
  const key = Buffer.from('watched');
  const channels = Array.from({ length: connections }, () => cluster.channel(member));
  let events = 0;
  let wanted = 0;
  let all: (() => void) | undefined;
  const onEvents = (count: number) => {
    events += count;
    if (events === wanted) all?.();
  };
  await Promise.all(channels.map((channel) => watch(channel, watchers / connections, () => key, onEvents)));
  const client = createEtcdClient(channels[0]!, systemClock);
  const waits: number[] = [];
  const cpuBefore = cpuSeconds([pid]);
  const startMs = performance.now();
  for (let i = 0; i < putsWatched; i++) {
    wanted += watchers;
    const arrived = new Promise<void>((resolve) => {
      all = resolve;
    });
    const putMs = performance.now();
    await client.put({ key, value });
    if (events < wanted) await arrived;
    waits.push(performance.now() - putMs);
  }
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = cpuSeconds([pid]) - cpuBefore;
  waits.sort((a, b) => a - b);
  const perSecond = events / seconds;
  const text = `${perSecond.toFixed(0)}/s, p50 ${waits[waits.length >> 1]!.toFixed(1)} p99 ${waits[Math.floor(waits.length * 0.99)]!.toFixed(1)} ms`;
  figures.set(`events to ${watchers} watchers`, { text, value: perSecond, better: 'more' });
  const ofCpu = events / cpu;
  figures.set('  of the server’s processor time', { text: `${ofCpu.toFixed(0)}/cpu-s`, value: ofCpu, better: 'more' });
  for (const channel of channels) await channel[Symbol.asyncDispose]();
}

/** What a watcher costs that nothing happens to. */
async function waitIdle(cluster: EtcdCluster, member: MemberProcess, pid: number, figures: Figures): Promise<void> {
  const before = residentMiB(pid);
  const channels = Array.from({ length: connections }, () => cluster.channel(member));
  let number = 0;
  await Promise.all(
    channels.map((channel) =>
      watch(
        channel,
        idleWatchers / connections,
        () => keyOf(number++),
        () => {},
      ),
    ),
  );
  figures.set(`memory of ${idleWatchers} watchers`, less(residentMiB(pid) - before, 'MiB'));
  for (const channel of channels) await channel[Symbol.asyncDispose]();
}

/** Resolves when all are created. They end with the channel. */
async function watch(
  channel: Channel,
  count: number,
  key: () => Uint8Array,
  onEvents: (count: number) => void,
): Promise<void> {
  const call = channel.open(Watch.methods.watch);
  let created = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const read = async () => {
    for await (const response of call.messages)
      if (response.created && ++created === count) resolve();
      else onEvents(response.events.length);
  };
  read().catch(reject);
  // A few at a time: the server answers each.
  for (let asked = 0; asked < count; asked++) {
    call.send({ requestUnion: { case: 'createRequest', value: WatchCreateRequest.create({ key: key() }) } });
    while (asked - created > 500) await new Promise((turn) => setImmediate(turn));
  }
  return promise;
}

async function fill(channel: Channel, from: number, to: number) {
  let next = from;
  const work = async () => {
    let last: { readonly header?: { readonly revision: number } | undefined } | undefined;
    while (next < to) {
      const success = [];
      for (; success.length < keysInTxn && next < to; next++)
        success.push({
          request: { case: 'requestPut' as const, value: PutRequest.create({ key: keyOf(next), value }) },
        });
      last = await channel.unary(KV.methods.txn, TxnRequest.create({ success }));
    }
    return last;
  };
  const ends = await Promise.all(Array.from({ length: writers }, work));
  return ends.filter((end) => end !== undefined).sort((a, b) => b.header!.revision - a.header!.revision)[0]!;
}

/** How long a few writers waited while something was done, and the longest that one of them did, which counts; at least a second is looked at. */
async function writesDuring(channel: Channel, work: () => Promise<unknown>): Promise<Figure> {
  const client = createEtcdClient(channel, systemClock);
  let ends = false;
  const waits: number[] = [];
  const write = async (number: number) => {
    while (!ends) {
      const startMs = performance.now();
      await client.put({ key: keyOf(number), value });
      waits.push(performance.now() - startMs);
    }
  };
  const writing = Array.from({ length: writers }, (_, i) => write(i));
  await Promise.all([work(), new Promise((resolve) => setTimeout(resolve, 1000))]);
  ends = true;
  await Promise.all(writing);
  waits.sort((a, b) => a - b);
  const longest = waits.at(-1)!;
  const text = `p99 ${waits[Math.floor(waits.length * 0.99)]!.toFixed(1)} longest ${longest.toFixed(1)} ms`;
  return { text, value: longest, better: 'less' };
}

const reference = await measure('reference');
const ours = await measure('ours');
for (const [name, figure] of ours) {
  const theirs = reference.get(name)!;
  const ratio = figure.better === 'more' ? figure.value / theirs.value : theirs.value / figure.value;
  process.stdout.write(
    `${name.padEnd(46)} reference ${theirs.text.padEnd(34)} ours ${figure.text.padEnd(34)} ${ratio.toFixed(2)} times as good\n`,
  );
}
