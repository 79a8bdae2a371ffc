/**
 * `bench/etcd.ts [--seconds=N]`: durable puts and ranges, one member and three, on the reference and on ours, one after the other on the
 * same disk under the same load; then how long three members are without a writable leader when it is killed. Prints both and the
 * ratio, which is what counts. The load shares the machine: operations per second of the servers' own processor time stand beside it. Both are warm when it begins:
 * a server runs for weeks, and its first seconds say little of them.
 */
import assert from 'node:assert/strict';
import { KV, Maintenance, PutRequest, RangeRequest, StatusRequest } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { EtcdCluster, type Kind, type MemberProcess } from '#testkit/etcd-cluster.ts';
import { compareLine, h2load, type Rate, type Shape } from './load/h2load.ts';

const seconds = Number(/--seconds=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 4);
/** Of puts and of ranges, before anything counts. */
const warmSeconds = 5;
const rangeKeys = 1000;
const failovers = 5;
const failoverMsMax = 60_000;
const key = Buffer.from('key0000000001234');
const put = PutRequest.create({ key, value: Buffer.alloc(256, 'v') });
const range = (more: Partial<RangeRequest>) => RangeRequest.create({ key, ...more });
const many = { key: Buffer.from('r'), rangeEnd: Buffer.from('s'), limit: rangeKeys };

const shapes: Readonly<Record<string, Shape>> = {
  '1x1': { connections: 1, streams: 1 },
  '1x64': { connections: 1, streams: 64 },
  '16x16': { connections: 16, streams: 16 },
  '64x16': { connections: 64, streams: 16 },
};

type Rates = Map<string, Rate>;

async function measure(kind: Kind, members: number): Promise<Rates> {
  const rates: Rates = new Map();
  await using cluster = await EtcdCluster.start(Array.from({ length: members }, () => kind));
  const leader = await leaderOf(cluster);
  const pids = cluster.members.map(({ child }) => child!.pid!);
  {
    await using channel = cluster.channel(leader);
    const client = createEtcdClient(channel, systemClock);
    for (let i = 0; i < rangeKeys; i++)
      await client.put({ key: Buffer.from(`r${String(i).padStart(6, '0')}`), value: Buffer.alloc(256, 'v') });
  }
  type Loaded = typeof KV.methods.put | typeof KV.methods.range;
  const loadFor = (seconds: number, method: Loaded, request: object, shape: Shape) => {
    const options = { url: leader.clientUrl, method, request, shape, seconds, pids };
    return h2load(options as Parameters<typeof h2load>[0]);
  };
  const load = async (name: string, method: Loaded, request: object, shape: Shape) => {
    rates.set(name, await loadFor(seconds, method, request, shape));
  };
  await loadFor(warmSeconds, KV.methods.put, put, shapes['16x16']!);
  await loadFor(warmSeconds, KV.methods.range, range({}), shapes['16x16']!);
  for (const [name, shape] of Object.entries(shapes)) await load(`put ${name}`, KV.methods.put, put, shape);
  const wide = shapes['16x16']!;
  await load('range, linearizable, 16x16', KV.methods.range, range({}), wide);
  await load('range, serializable, 16x16', KV.methods.range, range({ serializable: true }), wide);
  await load(`range of ${rangeKeys} keys, 16x16`, KV.methods.range, range(many), wide);
  return rates;
}

/** Milliseconds from the death of the leader to the first write that was acknowledged through a survivor. */
async function failover(kind: Kind): Promise<number[]> {
  const gaps: number[] = [];
  await using cluster = await EtcdCluster.start([kind, kind, kind]);
  for (let i = 0; i < failovers; i++) {
    const leader = await leaderOf(cluster);
    const survivors = cluster.members.filter((member) => member !== leader);
    const channels = survivors.map((member) => cluster.channel(member));
    const clients = channels.map((channel) => createEtcdClient(channel, systemClock));
    for (const client of clients) await client.put({ key, value: Buffer.from('before') });
    await cluster.stop(leader, 'SIGKILL');
    const startMs = performance.now();
    // A new attempt every 10 ms, so that none that was lost with the leader is waited for.
    gaps.push(
      await new Promise<number>((resolve, reject) => {
        let done = false;
        const attempt = () => {
          if (done) return;
          if (performance.now() - startMs > failoverMsMax) {
            reject(new Error(`${kind}: no write after ${failoverMsMax} ms`));
            return;
          }
          for (const client of clients)
            client.put({ key, value: Buffer.from(`after ${i}`) }).then(
              () => {
                if (!done) resolve(performance.now() - startMs);
                done = true;
              },
              () => {},
            );
          setTimeout(attempt, 10);
        };
        attempt();
      }),
    );
    for (const channel of channels) await channel[Symbol.asyncDispose]();
    cluster.run(leader, 'new');
    await cluster.serving(leader);
    // Whoever was dead has it, too: a figure of a write that was lost would be none.
    await using channel = cluster.channel(leader);
    const { kvs } = await createEtcdClient(channel, systemClock).range({ key });
    assert.equal(Buffer.from(kvs[0]!.value).toString(), `after ${i}`);
  }
  return gaps.sort((a, b) => a - b);
}

async function leaderOf(cluster: EtcdCluster): Promise<MemberProcess> {
  for (;;) {
    for (const member of cluster.members) {
      await using channel = cluster.channel(member);
      const status = await channel.unary(Maintenance.methods.status, StatusRequest.create()).catch(() => undefined);
      if (status !== undefined && status.leader === status.header!.memberId) return member;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

for (const members of [1, 3]) {
  process.stdout.write(`-- ${members === 1 ? 'one member' : 'three members'}\n`);
  const reference = await measure('reference', members);
  const ours = await measure('ours', members);
  for (const [name, rate] of ours) process.stdout.write(compareLine(name, reference.get(name)!, rate));
}
const [theirs, our] = [await failover('reference'), await failover('ours')];
const median = (values: readonly number[]) => values[values.length >> 1]!;
const text = (values: readonly number[]) => `p50 ${median(values).toFixed(0)} max ${values.at(-1)!.toFixed(0)} ms`;
process.stdout.write(
  `leader killed to first acknowledged write   reference ${text(theirs)}   ours ${text(our)}   ratio ${(median(our) / median(theirs)).toFixed(2)}\n`,
);
