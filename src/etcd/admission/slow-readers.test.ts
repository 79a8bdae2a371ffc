/**
 * A member with a small budget whose clients ask for much and take nothing: what it holds for them stays within the budget, and everybody else's puts, small
 * reads, leases and watches go on. Over real sockets.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { Lease, Watch, WatchCreateRequest, WatchRequest } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { connectRpc } from '#rpc/client.ts';
import { utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { slowReader } from '#testkit/slow-reader.ts';
import { parseTarget } from '#transport/dial.ts';
import { listen } from '#transport/listen.ts';
import { startEtcd } from '../start.ts';

const timeout = 60_000;
const bytes = utf8Encode;
const MiB = 1 << 20;
const budgetBytes = 16 * MiB;
const everything = { key: bytes('big'), rangeEnd: bytes('bih') };
const keyCount = 512;
const valueBytes = 4096;

/** 2 MiB of values, of which each reader wants all. */
async function serve() {
  const etcd = await startEtcd({
    config: { requestMemoryBytes: budgetBytes },
    deps: { clock: systemClock, prng: seededPrng(5), log: () => {} },
  });
  const { dispatcher, untaken } = etcd;
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler: etcd.http, dispatcher, untaken });
  const { port } = listener;
  const channel = connectRpc({ target: parseTarget(`http://127.0.0.1:${port}`), clock: systemClock });
  const client = createEtcdClient(channel, systemClock);
  for (let i = 0; i < keyCount; i++)
    await client.put({ key: bytes(`big${String(i).padStart(4, '0')}`), value: Buffer.alloc(valueBytes, 'v') });
  const { budget } = etcd.member.admission;
  return {
    etcd,
    port,
    channel,
    client,
    budget,
    heldBytes: () => budget.admittedBytes + budget.untakenBytes,
    async [Symbol.asyncDispose]() {
      await channel[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      await etcd[Symbol.asyncDispose]();
    },
  };
}

async function until(isSo: () => boolean): Promise<void> {
  for (let left = 3000; !isSo(); left--) {
    if (left === 0) assert.fail(`it never came to that: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

for (const how of ['closed windows', 'deaf socket'] as const)
  test(`readers that take nothing (${how}): the budget holds, the rest goes on; then they read, and all are answered`, {
    timeout,
  }, async () => {
    await using served = await serve();
    const { port, client, channel, budget } = served;
    const watch = channel.open(Watch.methods.watch);
    const createRequest = WatchCreateRequest.create({ key: bytes('small') });
    watch.send(WatchRequest.create({ requestUnion: { case: 'createRequest', value: createRequest } }));
    const seen = watch.messages[Symbol.asyncIterator]();
    assert.equal((await seen.next()).value!.created, true);
    const { id } = await client.leaseGrant({ ttl: 600 });
    const keepAlive = channel.open(Lease.methods.leaseKeepAlive);
    const kept = keepAlive.messages[Symbol.asyncIterator]();

    const readers = await Promise.all(
      Array.from({ length: 10 }, () => slowReader(port, everything, { count: 8, how })),
    );
    try {
      await until(() => budget.waitingCount > 0);
      let mostBytes = 0;
      for (let i = 0; i < 50; i++) {
        await client.put({ key: bytes('small'), value: bytes(`${i}`) });
        const { kvs } = await client.range({ key: bytes('small') });
        assert.equal(Buffer.from(kvs[0]!.value).toString(), `${i}`);
        assert.equal((await seen.next()).value!.events.length, 1);
        keepAlive.send({ id });
        assert.equal((await kept.next()).value!.ttl, 600);
        mostBytes = Math.max(mostBytes, served.heldBytes());
      }
      assert.ok(mostBytes > budgetBytes / 8 && mostBytes <= budgetBytes, `${mostBytes} bytes held`);
      assert.ok(budget.waitingCount > 0, 'they wait still');
      for (const reader of readers) reader.read();
      await until(() => readers.every(({ answers }) => answers.length === 8));
      for (const { answers } of readers)
        for (const answer of answers) {
          assert.equal(answer.status, '0');
          assert.ok(answer.bytes > keyCount * valueBytes);
        }
      await until(() => served.heldBytes() === 0 && budget.waitingCount === 0);
    } finally {
      for (const reader of readers) reader[Symbol.dispose]();
      watch.cancel();
      keepAlive.cancel();
    }
  });

test('a large range that finds no room within its deadline is refused by name; readers that give up leave nothing', {
  timeout,
}, async () => {
  await using served = await serve();
  const { port, channel, client, budget, etcd } = served;
  const readers = await Promise.all(
    Array.from({ length: 10 }, () => slowReader(port, everything, { count: 8, how: 'closed windows' })),
  );
  try {
    // Three answers of 2 MiB: a fourth has no room in the half that is for what is large.
    await until(() => budget.admittedBytes === 0 && budget.untakenBytes > 5.8 * MiB);
    const waited = client.range(everything, { timeoutMs: 3000 });
    await assert.rejects(waited, (error) => isEtcdError(error, 'tooManyRequests'));
    assert.equal(etcd.member.admission.refusedCount, 1);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, /^etcd_server_admission_refused_total 1$/m);
    assert.match(metrics, new RegExp(`^etcd_server_admission_budget_bytes ${budgetBytes}$`, 'm'));
    assert.match(metrics, /^etcd_server_admission_waiting [1-9]\d*$/m);
    for (const reader of readers) reader.cancel();
    await until(() => budget.waitingCount === 0 && served.heldBytes() === 0);
    assert.equal((await client.range(everything)).kvs.length, keyCount);
  } finally {
    for (const reader of readers) reader[Symbol.dispose]();
  }
  await channel[Symbol.asyncDispose]();
});

test('readers that hang up leave nothing, and those who waited behind them are answered', { timeout }, async () => {
  await using served = await serve();
  const { port, client, budget } = served;
  const readers = await Promise.all(
    Array.from({ length: 10 }, () => slowReader(port, everything, { count: 8, how: 'deaf socket' })),
  );
  await until(() => budget.waitingCount > 0);
  const behind = client.range(everything);
  for (const reader of readers) reader[Symbol.dispose]();
  assert.equal((await behind).kvs.length, keyCount);
  await until(() => budget.waitingCount === 0 && served.heldBytes() === 0);
});

test('a range larger than the whole budget is answered when nothing else runs', { timeout }, async () => {
  await using served = await serve();
  const { client } = served;
  for (let i = 0; i < 24; i++) await client.put({ key: bytes(`huge${i}`), value: Buffer.alloc(MiB) });
  const { kvs } = await client.range({ key: bytes('huge'), rangeEnd: bytes('hugf') });
  assert.equal(kvs.length, 24);
  await until(() => served.heldBytes() === 0);
});
