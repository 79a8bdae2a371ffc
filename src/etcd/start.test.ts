/** A member over its life: durable writes, crashes, restarts, forks, expiry in virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { AlarmType, KV, Maintenance, RangeRequest, RangeResponse } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import type { WatchItem } from '#etcd-client/watch-stream.ts';
import { systemClock } from '#host/clock.ts';
import type { Disk } from '#host/disk.ts';
import { drainTurns } from '#host/event-loop.ts';
import { LockedError } from '#host/lock-file.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import type { Clock } from '#std/clock.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { type Etcd, startEtcd } from './start.ts';

const timeout = 20_000;
const bytes = utf8Encode;

function start(disk: Disk | undefined, clock: Clock = systemClock): Promise<Etcd> {
  return startEtcd({
    config: disk === undefined ? {} : { dataDir: 'data' },
    deps: { clock, prng: seededPrng(1), log: (message) => assert.fail(message), ...(disk && { disk }) },
  });
}

function clientOf(etcd: Etcd, clock: Clock = systemClock): EtcdClient {
  return createEtcdClient(etcd.connect(), clock);
}

async function valuesOf(client: EtcdClient): Promise<Record<string, string>> {
  const { kvs } = await client.range({ key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) });
  return Object.fromEntries(kvs.map(({ key, value }) => [utf8Decode(key), utf8Decode(value)]));
}

test('what was acknowledged survives a crash, with its revisions, leases and ids', { timeout }, async () => {
  const disk = new MemoryDisk();
  const first = await start(disk);
  const client = clientOf(first);
  await client.leaseGrant({ id: 5n, ttl: 100 });
  const wanted: Record<string, string> = {};
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      wanted[`k${i}`] = `v${i}`;
      await client.put({ key: bytes(`k${i}`), value: bytes(`v${i}`), lease: i === 7 ? 5n : 0n });
    }),
  );
  await client.deleteRange({ key: bytes('k3') });
  delete wanted['k3'];
  const before = (await client.range({ key: bytes('k1') })).header!;

  const second = await start(disk.afterCrash());
  const again = clientOf(second);
  assert.deepEqual(await valuesOf(again), wanted);
  const after = (await again.range({ key: bytes('k1') })).header!;
  assert.equal(after.revision, before.revision);
  assert.equal(after.memberId, before.memberId);
  assert.equal(after.clusterId, before.clusterId);
  assert.equal(after.raftTerm, before.raftTerm + 1);
  await again.leaseRevoke({ id: 5n });
  delete wanted['k7'];
  assert.deepEqual(await valuesOf(again), wanted);
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

test('a clean stop leaves a checkpoint: the next start has nothing to do again', { timeout }, async () => {
  const disk = new MemoryDisk();
  const first = await start(disk);
  const client = clientOf(first);
  await client.leaseGrant({ id: 5n, ttl: 100 });
  for (let i = 0; i < 300; i++)
    await client.put({ key: bytes(`k${i % 40}`), value: bytes(`v${i}`), lease: i % 40 === 7 ? 5n : 0n });
  const { revision } = (await client.deleteRange({ key: bytes('k1') })).header!;
  await client.compact({ revision: revision - 20 });
  const wanted = await valuesOf(client);
  await first[Symbol.asyncDispose]();
  assert.ok((await disk.list('data/member/snap')).includes('db'));
  const second = await start(disk.afterCrash());
  const again = clientOf(second);
  assert.deepEqual(await valuesOf(again), wanted);
  await assert.rejects(again.range({ key: bytes('k1'), revision: revision - 21 }), (error) =>
    isEtcdError(error, 'compacted'),
  );
  const old = await again.range({ key: bytes('k1'), revision: revision - 1 });
  assert.equal(old.kvs.length, 1);
  await again.leaseRevoke({ id: 5n });
  assert.equal((await again.range({ key: bytes('k7') })).count, 0);
  await second[Symbol.asyncDispose]();
});

test('a write is not answered before it is on disk', { timeout }, async () => {
  const disk = new MemoryDisk();
  let release: (() => void) | undefined;
  let held = false;
  const slow: Disk = {
    list: (folder) => disk.list(folder),
    read: (path) => disk.read(path),
    makeFolder: () => disk.makeFolder(),
    rename: (source, target) => disk.rename(source, target),
    remove: (path) => disk.remove(path),
    syncFolder: (path) => disk.syncFolder(path),
    lock: (path) => disk.lock(path),
    async open(path, options) {
      const file = await disk.open(path, options);
      return {
        ...file,
        async write(data, position) {
          if (held)
            await new Promise<void>((resolve) => {
              release = resolve;
            });
          await file.write(data, position);
        },
      };
    },
  };
  const etcd = await start(slow);
  const client = clientOf(etcd);
  held = true;
  let answered = false;
  const put = client.put({ key: bytes('a'), value: bytes('1') }).then(() => {
    answered = true;
  });
  while (release === undefined) await drainTurns(1);
  await drainTurns(10);
  assert.equal(answered, false);
  assert.deepEqual(await valuesOf(client), {});
  held = false;
  release();
  await put;
  assert.deepEqual(await valuesOf(client), { a: '1' });
  await etcd[Symbol.asyncDispose]();
});

test('a disk that takes no more writes: nothing is acknowledged, and nothing acknowledged is lost', {
  timeout,
}, async () => {
  const disk = new MemoryDisk();
  let full = false;
  const filling: Disk = {
    list: (folder) => disk.list(folder),
    read: (path) => disk.read(path),
    makeFolder: () => disk.makeFolder(),
    rename: (source, target) => disk.rename(source, target),
    remove: (path) => disk.remove(path),
    syncFolder: (path) => disk.syncFolder(path),
    lock: (path) => disk.lock(path),
    async open(path, options) {
      const file = await disk.open(path, options);
      return {
        ...file,
        async write(data, position) {
          if (full) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
          await file.write(data, position);
        },
      };
    },
  };
  const logged: string[] = [];
  const etcd = await startEtcd({
    config: { dataDir: 'data' },
    deps: { clock: systemClock, prng: seededPrng(1), log: (message) => logged.push(message), disk: filling },
  });
  const client = clientOf(etcd);
  await client.put({ key: bytes('a'), value: bytes('1') });
  full = true;
  const puts = ['b', 'c'].map((key) => client.put({ key: bytes(key), value: bytes('2') }));
  for (const put of puts) await assert.rejects(put, (error) => isEtcdError(error, 'stopped'));
  await etcd.failed;
  assert.match(logged[0]!, /ENOSPC/);
  await assert.rejects(client.put({ key: bytes('d') }), (error) => isEtcdError(error, 'stopped'));
  assert.deepEqual(await valuesOf(client), { a: '1' });
  await etcd[Symbol.asyncDispose]();
  const after = await start(disk.afterCrash());
  assert.deepEqual(await valuesOf(clientOf(after)), { a: '1' });
  await after[Symbol.asyncDispose]();
});

test('a folder is for one member at a time', { timeout }, async () => {
  const disk = new MemoryDisk();
  const first = await start(disk);
  await assert.rejects(start(disk), LockedError);
  await first[Symbol.asyncDispose]();
  const second = await start(disk);
  await second[Symbol.asyncDispose]();
});

test('a full store refuses writes until room was made and the alarm taken back', { timeout }, async () => {
  const etcd = await startEtcd({
    config: { quotaBytes: 64 << 10 },
    deps: { clock: systemClock, prng: seededPrng(1), log: (message) => assert.fail(message) },
  });
  const client = clientOf(etcd);
  const value = new Uint8Array(4096);
  const isFull = (error: unknown) => isEtcdError(error, 'noSpace');
  await assert.rejects(async () => {
    for (let i = 0; i < 100; i++) await client.put({ key: bytes('k'), value });
  }, isFull);
  const { header, errors } = await client.status();
  assert.match(errors[0]!, /alarm:NOSPACE/);
  await client.deleteRange({ key: bytes('k') });
  const { revision } = (await client.range({ key: bytes('k') })).header!;
  await client.compact({ revision, physical: true });
  await assert.rejects(client.put({ key: bytes('k') }), isFull);
  await etcd
    .connect()
    .unary(Maintenance.methods.alarm, { action: 2, memberID: header!.memberId, alarm: AlarmType.NOSPACE });
  await client.put({ key: bytes('k'), value });
  await etcd[Symbol.asyncDispose]();
});

test("metrics count what happened, under upstream's names", { timeout }, async () => {
  const etcd = await start(new MemoryDisk());
  const client = clientOf(etcd);
  await client.put({ key: bytes('a') });
  await client.put({ key: bytes('b') });
  await client.deleteRange({ key: bytes('a') });
  await client.leaseGrant({ ttl: 10 });
  const { status, body } = await etcd.http({
    method: 'GET',
    target: '/metrics',
    headers: [],
    authority: '',
    protocol: 'HTTP/1.1',
    body: (async function* () {})(),
    peer: { address: 'in-memory' },
    signal: new AbortController().signal,
  });
  assert.equal(status, 200);
  const text = utf8Decode(body as Uint8Array);
  for (const line of [
    'etcd_server_has_leader 1',
    'etcd_mvcc_put_total 2',
    'etcd_mvcc_delete_total 1',
    'etcd_debugging_lease_granted_total 1',
    'etcd_debugging_mvcc_current_revision 4',
    'etcd_server_proposals_pending 0',
  ])
    assert.ok(text.includes(`\n${line}\n`), `${line} in\n${text}`);
  assert.match(text, /\netcd_disk_wal_fsync_duration_seconds_count [1-9]/);
  await etcd[Symbol.asyncDispose]();
});

test('a streamed range is, piece by piece, the range', { timeout }, async () => {
  const etcd = await startEtcd({
    config: { requestBytesMax: 4096 },
    deps: { clock: systemClock, prng: seededPrng(1), log: (message) => assert.fail(message) },
  });
  const client = clientOf(etcd);
  for (let i = 0; i < 300; i++)
    await client.put({ key: bytes(`k${String(i).padStart(3, '0')}`), value: new Uint8Array(i) });
  const channel = etcd.connect();
  const whole = { key: bytes('k'), rangeEnd: bytes('l') };
  const cases: readonly Partial<RangeRequest>[] = [
    whole,
    { ...whole, limit: 7 },
    { ...whole, limit: 10 },
    { ...whole, limit: 250 },
    { ...whole, revision: 100 },
    { ...whole, keysOnly: true },
    { ...whole, countOnly: true },
    { key: bytes('k007') },
    { key: bytes('none') },
  ];
  for (const request of cases) {
    const call = channel.open(KV.methods.rangeStream);
    call.send(RangeRequest.create(request));
    call.closeSend();
    const chunks: RangeResponse[] = [];
    for await (const { rangeResponse } of call.messages) chunks.push(rangeResponse!);
    const { header, more, count } = chunks.at(-1)!;
    const merged = { header, kvs: chunks.flatMap(({ kvs }) => kvs), more, count };
    assert.deepEqual(RangeResponse.encode(merged), RangeResponse.encode(await client.range(request)));
    for (const chunk of chunks.slice(0, -1))
      assert.deepEqual([chunk.header, chunk.more, chunk.count], [undefined, false, 0]);
  }
  const refused = channel.open(KV.methods.rangeStream);
  refused.send(RangeRequest.create({ ...whole, minModRevision: 3 }));
  refused.closeSend();
  await assert.rejects(async () => {
    for await (const _ of refused.messages);
  }, /RangeStream does not support revision filters/);
  await etcd[Symbol.asyncDispose]();
});

test('history is compacted by time or by number, when asked for', { timeout }, async () => {
  const minuteMs = 60_000;
  for (const [autoCompaction, kept] of [
    [{ mode: 'periodic', retentionMs: 30 * minuteMs }, 30],
    [{ mode: 'revision', retentionRevisions: 12 }, 12],
  ] as const) {
    const clock = new VirtualClock();
    const etcd = await startEtcd({
      config: { autoCompaction },
      deps: { clock, prng: seededPrng(1), log: (message) => assert.fail(message) },
    });
    const client = clientOf(etcd, clock);
    const one = bytes('k');
    const readable = (revision: number) =>
      client.range({ key: one, revision }).then(
        () => true,
        () => false,
      );
    for (let minute = 0; minute < 25; minute++) {
      await client.put({ key: one });
      await clock.advance(minuteMs, drainTurns);
    }
    const { revision } = (await client.put({ key: one })).header!;
    assert.equal(await readable(autoCompaction.mode === 'periodic' ? 2 : revision - 12), true);
    for (let minute = 0; minute < 70; minute++) {
      await client.put({ key: one });
      await clock.advance(minuteMs, drainTurns);
    }
    const latest = (await client.range({ key: one })).header!.revision;
    assert.equal(await readable(latest - kept + 1), true);
    assert.equal(await readable(latest - kept - 31), false);
    await etcd[Symbol.asyncDispose]();
    assert.equal(clock.pending, 0);
  }
});

test('a fork has the data and goes its own way', { timeout }, async () => {
  const etcd = await start(undefined);
  const client = clientOf(etcd);
  await client.put({ key: bytes('a'), value: bytes('1') });
  const fork = etcd.fork({ clock: systemClock, prng: seededPrng(2), log: (message) => assert.fail(message) });
  const other = clientOf(fork);
  await client.put({ key: bytes('a'), value: bytes('2') });
  await other.put({ key: bytes('b'), value: bytes('3') });
  assert.deepEqual(await valuesOf(client), { a: '2' });
  assert.deepEqual(await valuesOf(other), { a: '1', b: '3' });
  await fork[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});

test('a lease runs out when its time is over, and not before; keep-alives put that off', { timeout }, async () => {
  const clock = new VirtualClock();
  const etcd = await start(undefined, clock);
  const client = clientOf(etcd, clock);
  await client.leaseGrant({ id: 1n, ttl: 10 });
  await client.leaseGrant({ id: 2n, ttl: 10 });
  await client.put({ key: bytes('one'), lease: 1n });
  await client.put({ key: bytes('two'), lease: 2n });
  await clock.advance(9_000, drainTurns);
  assert.deepEqual(Object.keys(await valuesOf(client)), ['one', 'two']);
  await client.leaseKeepAlive(2n);
  await clock.advance(1_500, drainTurns);
  assert.deepEqual(Object.keys(await valuesOf(client)), ['two']);
  await clock.advance(9_000, drainTurns);
  assert.deepEqual(Object.keys(await valuesOf(client)), []);
  assert.equal(clock.pending, 0);
  await etcd[Symbol.asyncDispose]();
});

test('an idle watch with progress reports hears from the server, and a closed member holds no timer', {
  timeout,
}, async () => {
  const clock = new VirtualClock();
  const etcd = await startEtcd({
    config: { progressNotifyIntervalMs: 5000 },
    deps: { clock, prng: seededPrng(1), log: (message) => assert.fail(message) },
  });
  const client = clientOf(etcd, clock);
  const abort = new AbortController();
  const items: WatchItem[] = [];
  const reading = (async () => {
    for await (const item of client.watch({ key: bytes('w'), progressNotify: true, signal: abort.signal }))
      items.push(item);
  })();
  await drainTurns();
  await client.put({ key: bytes('w') });
  await clock.advance(5_000, drainTurns);
  await client.put({ key: bytes('elsewhere') });
  await clock.advance(5_000, drainTurns);
  assert.deepEqual(
    items.map(({ kind, revision }) => [kind, revision]),
    [
      ['created', 1],
      ['events', 2],
      ['progress', 3],
    ],
  );
  abort.abort();
  await reading;
  await client[Symbol.asyncDispose]();
  await drainTurns();
  assert.equal(clock.pending, 0);
  await etcd[Symbol.asyncDispose]();
});

test('a member that is closed refuses writes', { timeout }, async () => {
  const etcd = await start(new MemoryDisk());
  const client = clientOf(etcd);
  await etcd[Symbol.asyncDispose]();
  await assert.rejects(client.put({ key: bytes('a') }), (error) => isEtcdError(error, 'stopped'));
});
