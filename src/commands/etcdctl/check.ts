/** `etcdctl check perf|datascale`: whether a cluster is fast enough, and how much memory its data takes. The bars are upstream's. */
import { CompactionRequest, KV, Maintenance } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient, prefixEnd } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { randomBytes } from '#std/prng.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { FlagTable } from '../flags.ts';
import { bytes, EtcdctlExit, type Session, type Verb, wrong } from './session.ts';

type Load = 's' | 'm' | 'l' | 'xl';

const perfLoads: Readonly<Record<Load, { readonly writesPerSecond: number; readonly clients: number }>> = {
  s: { writesPerSecond: 150, clients: 50 },
  m: { writesPerSecond: 1000, clients: 200 },
  l: { writesPerSecond: 8000, clients: 500 },
  xl: { writesPerSecond: 15_000, clients: 1000 },
};
const perfMs = 60_000;
const perfKeyBytes = 256;
const perfValueBytes = 1024;
/** Seconds. */
const slowestMax = 0.5;
const deviationMax = 0.1;

const dataLoads: Readonly<Record<Load, { readonly pairs: number; readonly clients: number }>> = {
  s: { pairs: 10_000, clients: 50 },
  m: { pairs: 100_000, clients: 200 },
  l: { pairs: 1_000_000, clients: 500 },
  xl: { pairs: 3_000_000, clients: 1000 },
};
const pairBytes = 1024;

const flags = (prefix: string): FlagTable => ({
  load: { kind: 'string', usage: 'workload: s(small), m(medium), l(large), xl(xLarge)', default: 's' },
  prefix: { kind: 'string', usage: "prefix of the check's keys", default: prefix },
  'auto-compact': { kind: 'bool', usage: 'compact storage with last revision after test is finished' },
  'auto-defrag': { kind: 'bool', usage: 'defragment storage after test is finished' },
});

export const checkVerbs: Readonly<Record<string, Verb>> = {
  perf: {
    flags: flags('/etcdctl-check-perf/'),
    async run(session) {
      const { writesPerSecond, clients } = perfLoads[loadOf(session)];
      await refuseKeys(session);
      const startMs = systemClock.monotonicMs();
      const endMs = startMs + perfMs;
      // Tokens come at a steady rate; whoever is free takes the next one.
      let taken = 0;
      const next = async () => {
        const dueMs = startMs + (++taken * 1000) / writesPerSecond;
        if (dueMs >= endMs) return false;
        const waitMs = dueMs - systemClock.monotonicMs();
        if (waitMs > 0) await new Promise<void>((resolve) => systemClock.after(waitMs, resolve));
        return true;
      };
      const { times, errors } = await writeAll(session, clients, perfKeyBytes, perfValueBytes, next);
      const seconds = (systemClock.monotonicMs() - startMs) / 1000;
      await clean(session);
      judge(session, { times, errors, perSecond: times.length / seconds, wanted: writesPerSecond });
    },
  },
  datascale: {
    flags: flags('/etcdctl-check-datascale/'),
    async run(session) {
      const { pairs, clients } = dataLoads[loadOf(session)];
      await refuseKeys(session);
      const before = await residentBytes(session, 'before');
      session.print(
        `Start data scale check for work load [${pairs} key-value pairs, ${pairBytes} bytes per key-value, ${clients} concurrent clients].\n`,
      );
      let left = pairs;
      const { errors } = await writeAll(session, clients, pairBytes / 2, pairBytes / 2, async () => left-- > 0);
      const after = await residentBytes(session, 'after');
      await clean(session);
      if (errors.size > 0) {
        session.print('FAIL: too many errors\n');
        for (const [text, count] of errors) session.print(`FAIL: ERROR(${text}) -> ${count}\n`);
        throw wrong('', EtcdctlExit.error);
      }
      session.print(`PASS: Approximate system memory used : ${((after - before) / 2 ** 20).toFixed(2)} MB.\n`);
    },
  },
};

function loadOf({ flags: given }: Session): Load {
  const aliases: Readonly<Record<string, Load>> = { small: 's', medium: 'm', large: 'l', xLarge: 'xl' };
  const text = given.string('load')!;
  const load = aliases[text] ?? text;
  if (!Object.hasOwn(perfLoads, load)) throw wrong(`unknown load option ${text}`, EtcdctlExit.badFeature);
  return load as Load;
}

function prefixOf({ flags: given }: Session): string {
  return given.string('prefix')!;
}

async function refuseKeys(session: Session): Promise<void> {
  const prefix = prefixOf(session);
  const { kvs } = await session.client.range({ key: bytes(prefix), rangeEnd: prefixEnd(bytes(prefix)), limit: 1 });
  if (kvs.length > 0)
    throw wrong(
      `prefix ${JSON.stringify(prefix)} has keys. Delete with 'etcdctl del --prefix ${prefix}' first`,
      EtcdctlExit.invalidInput,
    );
}

/** Each client has a connection of its own and writes, one key after the other, as long as `next` says so. Times are in seconds. */
async function writeAll(
  session: Session,
  clients: number,
  keyBytes: number,
  valueBytes: number,
  next: () => Promise<boolean>,
): Promise<{ readonly times: number[]; readonly errors: Map<string, number> }> {
  const prefix = bytes(prefixOf(session));
  const prng = systemPrng();
  const value = Buffer.alloc(valueBytes);
  const times: number[] = [];
  const errors = new Map<string, number>();
  const write = async () => {
    const client = createEtcdClient(await session.connectTo(session.endpoint), systemClock);
    while (await next()) {
      const key = Buffer.alloc(prefix.length + keyBytes);
      prefix.copy(key);
      key.set(randomBytes(prng, 8), prefix.length);
      const startMs = systemClock.monotonicMs();
      try {
        await client.put({ key, value });
        times.push((systemClock.monotonicMs() - startMs) / 1000);
      } catch (error) {
        const { message } = RpcError.from(error);
        errors.set(message, (errors.get(message) ?? 0) + 1);
      }
    }
    await client[Symbol.asyncDispose]();
  };
  await Promise.all(Array.from({ length: clients }, write));
  return { times, errors };
}

async function clean(session: Session): Promise<void> {
  const { channel, client, flags: given, print } = session;
  const prefix = bytes(prefixOf(session));
  const { header } = await client.deleteRange({ key: prefix, rangeEnd: prefixEnd(prefix) });
  if (given.bool('auto-compact')) {
    const { revision } = header!;
    print(`Compacting with revision ${revision}\n`);
    await channel.unary(KV.methods.compact, CompactionRequest.create({ revision, physical: true }));
    print(`Compacted with revision ${revision}\n`);
  }
  if (given.bool('auto-defrag'))
    for (const endpoint of session.endpoints) {
      print(`Defragmenting ${JSON.stringify(endpoint)}\n`);
      await session.at(endpoint).channel.unary(Maintenance.methods.defragment, {});
      print(`Defragmented ${JSON.stringify(endpoint)}\n`);
    }
}

function judge(
  { print }: Session,
  outcome: {
    readonly times: readonly number[];
    readonly errors: ReadonlyMap<string, number>;
    readonly perSecond: number;
    readonly wanted: number;
  },
): void {
  const { times, errors, perSecond, wanted } = outcome;
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const deviation = Math.sqrt(times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / times.length);
  const slowest = times.reduce((most, time) => Math.max(most, time), 0);
  let passes = true;
  const say = (holds: boolean, good: string, bad: string) => {
    passes &&= holds;
    print(`${holds ? good : bad}\n`);
  };
  if (errors.size > 0) {
    passes = false;
    print('FAIL: too many errors\n');
    for (const [text, count] of errors) print(`FAIL: ERROR(${text}) -> ${count}\n`);
  }
  const rate = Math.floor(perSecond) + 1;
  say(perSecond / wanted > 0.9, `PASS: Throughput is ${rate} writes/s`, `FAIL: Throughput too low: ${rate} writes/s`);
  const [longest, spread] = [slowest.toFixed(6), deviation.toFixed(6)];
  say(slowest <= slowestMax, `PASS: Slowest request took ${longest}s`, `Slowest request took too long: ${longest}s`);
  say(deviation <= deviationMax, `PASS: Stddev is ${spread}s`, `Stddev too high: ${spread}s`);
  print(passes ? 'PASS\n' : 'FAIL\n');
  if (!passes) throw wrong('', EtcdctlExit.error);
}

/** What the server says of its own memory. */
async function residentBytes(session: Session, when: 'before' | 'after'): Promise<number> {
  const { print } = session;
  let text = '';
  try {
    text = (await session.get('/metrics')).text;
  } catch (error) {
    print(`fetch error: ${(error as Error).message}\n`);
  }
  const found = /^process_resident_memory_bytes (\S+)$/m.exec(text);
  if (found === null) {
    print(`FAIL: Could not read process_resident_memory_bytes ${when} the put operations.\n`);
    throw wrong('', EtcdctlExit.error);
  }
  return Number(found[1]);
}
