/** The client against the reference server: calls, watches, and what happens to watches when the server goes away. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { type EtcdProcess, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { createEtcdClient, type EtcdClient, prefixEnd } from './client.ts';
import type { WatchItem } from './watch-stream.ts';

const folder = mkdtempSync(join(tmpdir(), 'etcd-client-'));
let server: EtcdProcess;
let channel: Channel;
let client: EtcdClient;
const timeout = 30_000;

before(async () => {
  server = await start();
  channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
  client = createEtcdClient(channel, systemClock);
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await channel?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function start(clientPort?: number): Promise<EtcdProcess> {
  return startEtcdProcess({
    command: [referenceBinary('etcd-server', 'etcd')],
    dataDir: join(folder, 'data'),
    ...(clientPort !== undefined && { clientPort }),
  });
}

const bytes = utf8Encode;
const text = (value: Uint8Array) => utf8Decode(value);

/** Reads items until `count` events came. */
async function events(items: AsyncIterator<WatchItem>, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const next = await items.next();
    assert.equal(next.done, false, `ended after ${seen}`);
    if (next.value!.kind === 'events')
      for (const event of (next.value as WatchItem & { kind: 'events' }).events)
        seen.push(`${event.type === 0 ? 'put' : 'delete'} ${text(event.kv!.key)} ${text(event.kv!.value)}`);
  }
  return seen;
}

test('calls answer as typed messages; errors are RpcErrors by name', { timeout }, async () => {
  const put = await client.put({ key: bytes('a'), value: bytes('1') });
  const range = await client.range({ key: bytes('a') });
  assert.equal(text(range.kvs[0]!.value), '1');
  assert.equal(range.header!.revision, put.header!.revision);
  const lease = await client.leaseGrant({ ttl: 60 });
  assert.equal((await client.leaseKeepAlive(lease.id)).ttl, 60);
  await client.leaseRevoke({ id: lease.id });
  assert.equal((await client.leaseKeepAlive(lease.id)).ttl, 0);
  await assert.rejects(client.put({}), (error) => isEtcdError(error, 'emptyKey'));
  await assert.rejects(client.range({ key: bytes('a'), revision: 1 << 30 }), (error) =>
    isEtcdError(error, 'futureRevision'),
  );
});

test('watches share a stream and each gets its own events in order', { timeout }, async () => {
  const abort = new AbortController();
  const watchOf = (prefix: string) =>
    client
      .watch({ key: bytes(prefix), rangeEnd: prefixEnd(bytes(prefix)), prevKv: true, signal: abort.signal })
      [Symbol.asyncIterator]();
  const [left, right] = [watchOf('left/'), watchOf('right/')];
  assert.equal((await left.next()).value!.kind, 'created');
  assert.equal((await right.next()).value!.kind, 'created');
  await client.put({ key: bytes('left/x'), value: bytes('1') });
  await client.put({ key: bytes('right/y'), value: bytes('2') });
  await client.deleteRange({ key: bytes('left/x') });
  assert.deepEqual(await events(left, 2), ['put left/x 1', 'delete left/x ']);
  assert.deepEqual(await events(right, 1), ['put right/y 2']);
  client.requestProgress();
  const progress = (await left.next()).value!;
  assert.equal(progress.kind, 'progress');
  abort.abort();
  assert.equal((await left.next()).done, true);
});

test('a watch of compacted revisions says so and ends', { timeout }, async () => {
  await client.put({ key: bytes('c'), value: bytes('1') });
  const { header } = await client.put({ key: bytes('c'), value: bytes('2') });
  await client.compact({ revision: header!.revision });
  const items: WatchItem[] = [];
  for await (const item of client.watch({ key: bytes('c'), startRevision: 1 })) items.push(item);
  assert.deepEqual(
    items.map(({ kind }) => kind),
    ['created', 'compacted'],
  );
  assert.equal((items[1] as WatchItem & { kind: 'compacted' }).compactRevision, header!.revision);
});

test('a watch goes on where it stood after the server was restarted', { timeout }, async () => {
  const abort = new AbortController();
  const items = client
    .watch({ key: bytes('r'), rangeEnd: prefixEnd(bytes('r')), signal: abort.signal })
    [Symbol.asyncIterator]();
  await items.next();
  await client.put({ key: bytes('r1'), value: bytes('1') });
  assert.deepEqual(await events(items, 1), ['put r1 1']);
  const { clientPort } = server;
  await server.stop('SIGKILL');
  server = await start(clientPort);
  for (;;) {
    const stored = await client.put({ key: bytes('r2'), value: bytes('2') }).then(
      () => true,
      () => false,
    );
    if (stored) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(await events(items, 1), ['put r2 2']);
  abort.abort();
});

test('a reader that falls behind holds up nobody and misses nothing', { timeout }, async () => {
  const abort = new AbortController();
  const slow = client
    .watch({ key: bytes('s'), rangeEnd: prefixEnd(bytes('s')), signal: abort.signal })
    [Symbol.asyncIterator]();
  await slow.next();
  const total = 10_000;
  const value = new Uint8Array(16);
  for (let done = 0; done < total; done += 100)
    await client.txn({
      success: Array.from({ length: 100 }, (_, i) => ({
        request: {
          case: 'requestPut' as const,
          value: {
            key: bytes(`s${done + i}`),
            value,
            lease: 0n,
            prevKv: false,
            ignoreValue: false,
            ignoreLease: false,
          },
        },
      })),
    });
  const quick = client.watch({ key: bytes('q'), signal: abort.signal })[Symbol.asyncIterator]();
  await quick.next();
  await client.put({ key: bytes('q'), value: bytes('!') });
  assert.deepEqual(await events(quick, 1), ['put q !']);
  const seen = await events(slow, total);
  assert.equal(new Set(seen).size, total);
  abort.abort();
});
