/**
 * What etcd once got wrong and one member can show, by the numbers of its issues, on Debian's etcd and on ours; what 3.5.16 still gets wrong
 * on ours alone. Issues of clusters are in `src/etcd/cluster.test.ts` and `sim`; of permissions in `src/etcd/auth/advisories.test.ts`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HashKVRequest, Maintenance, Watch, WatchCreateRequest, type WatchResponse } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { utf8Decode } from '#std/bytes.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';

const timeout = 60_000;
const quietMs = 500;
const bytes = (text: string) => Buffer.from(text);
const put = (key: string, value = '') => ({ key: bytes(key), value: bytes(value) });

const commands: Readonly<Record<string, () => readonly string[]>> = {
  ours: () => [new URL('../../bin/wherry', import.meta.url).pathname, 'etcd'],
  reference: () => [referenceBinary('etcd-server', 'etcd')],
};

interface Member {
  readonly client: EtcdClient;
  readonly channel: Channel;
  readonly stop: (signal: NodeJS.Signals) => Promise<void>;
}

type Run = (start: () => Promise<Member & AsyncDisposable>) => Promise<void>;

function regression(name: string, run: Run, servers: readonly string[] = Object.keys(commands)): void {
  for (const server of servers)
    test(`${name} (${server})`, { timeout }, async (context) => {
      const folder = mkdtempSync(join(tmpdir(), 'etcd-regression-'));
      context.after(() => rmSync(folder, { recursive: true, force: true }));
      const flags = ['--experimental-watch-progress-notify-interval', '100ms'];
      await run(async () => {
        const started = await startEtcdProcess({ command: commands[server]!(), dataDir: join(folder, 'data'), flags });
        const channel = connectRpc({ target: parseTarget(started.clientUrl), clock: systemClock });
        const client = createEtcdClient(channel, systemClock);
        const dispose = async () => {
          await client[Symbol.asyncDispose]();
          await channel[Symbol.asyncDispose]();
          await started.stop();
        };
        return { client, channel, stop: (signal) => started.stop(signal), [Symbol.asyncDispose]: dispose };
      });
    });
}

/** Watches on one stream, each answer as it comes. */
function watchStream(channel: Channel) {
  const call = channel.open(Watch.methods.watch);
  const messages = call.messages[Symbol.asyncIterator]();
  return {
    async create(value: Partial<WatchCreateRequest>): Promise<WatchResponse> {
      call.send({ requestUnion: { case: 'createRequest', value: WatchCreateRequest.create(value) } });
      return this.next();
    },
    cancel: (watchId: number) => call.send({ requestUnion: { case: 'cancelRequest', value: { watchId } } }),
    requestProgress: () => call.send({ requestUnion: { case: 'progressRequest', value: {} } }),
    next: async () => (await messages.next()).value as WatchResponse,
    [Symbol.asyncDispose]: () => call[Symbol.asyncDispose](),
  };
}

const shown = ({ events }: WatchResponse) =>
  events.map(({ type, kv }) => `${type === 1 ? 'delete' : 'put'} ${utf8Decode(kv!.key)}@${kv!.modRevision}`);

regression('#15220: progress is never told ahead of events', async (start) => {
  await using member = await start();
  await using stream = watchStream(member.channel);
  await stream.create({ key: bytes('p'), rangeEnd: bytes('q') });
  const count = 500;
  const writing = (async () => {
    for (let i = 0; i < count; i++) {
      await member.client.put(put(`p${i}`));
      stream.requestProgress();
    }
  })();
  let [told, events] = [0, 0];
  while (events < count) {
    const answer = await stream.next();
    for (const { kv } of answer.events)
      assert.ok(kv!.modRevision > told, `${kv!.modRevision} after progress at ${told}`);
    events += answer.events.length;
    if (answer.events.length === 0) told = Number(answer.header!.revision);
  }
  await writing;
});

regression('#17529: a watch that is read late misses nothing', async (start) => {
  await using member = await start();
  await using stream = watchStream(member.channel);
  await stream.create({ key: bytes('s') });
  const count = 3000;
  for (let i = 0; i < count; i += 100)
    await Promise.all(Array.from({ length: 100 }, () => member.client.put(put('s', 'x'.repeat(2000)))));
  const versions: number[] = [];
  while (versions.length < count) versions.push(...(await stream.next()).events.map(({ kv }) => Number(kv!.version)));
  assert.deepEqual(
    versions,
    Array.from({ length: count }, (_, i) => i + 1),
  );
});

regression('#17780, #14685: what a compaction at a deletion left is the same after a crash', async (start) => {
  const seen: unknown[] = [];
  const look = async ({ client, channel }: Member) => {
    const { kvs, header, count } = await client.range({ key: bytes('a'), rangeEnd: bytes('z') });
    const { hash, compactRevision } = await channel.unary(Maintenance.methods.hashKV, HashKVRequest.create({}));
    seen.push({ kvs: kvs.map(({ key }) => utf8Decode(key)), revision: header!.revision, count, hash, compactRevision });
  };
  {
    await using member = await start();
    for (const key of ['a', 'b', 'c']) await member.client.put(put(key));
    await member.client.deleteRange({ key: bytes('b') });
    const { revision } = (await member.client.deleteRange({ key: bytes('c') })).header!;
    await member.client.compact({ revision, physical: true });
    await member.channel.unary(Maintenance.methods.defragment, {});
    await look(member);
    await member.stop('SIGKILL');
  }
  await using member = await start();
  await look(member);
  assert.deepEqual(seen[1], seen[0]);
  const { revision } = (await member.client.put(put('d'))).header!;
  assert.equal(revision, (seen[0] as { revision: number }).revision + 1);
});

regression('#18089, #19179: a deletion at the compacted revision is still told', async (start) => {
  await using member = await start();
  await member.client.put(put('k'));
  const { revision } = (await member.client.deleteRange({ key: bytes('k') })).header!;
  await member.client.put(put('other'));
  await member.client.compact({ revision, physical: true });
  await using stream = watchStream(member.channel);
  await stream.create({ key: bytes('k'), rangeEnd: bytes('p'), startRevision: revision });
  assert.deepEqual(shown(await stream.next()), [`delete k@${revision}`, `put other@${revision + 1}`]);
});

regression('#19768: of watches that begin at the same key, one may go', async (start) => {
  await using member = await start();
  await using stream = watchStream(member.channel);
  for (const end of ['b', 'c', 'd']) await stream.create({ key: bytes('a'), rangeEnd: bytes(end) });
  stream.cancel(1);
  assert.equal((await stream.next()).canceled, true);
  await member.client.put(put('a1'));
  const told = [(await stream.next()).watchId, (await stream.next()).watchId];
  assert.deepEqual(told.map(Number).sort(), [0, 2]);
});

regression('#20615: a lease that was revoked is not renewed', async (start) => {
  await using member = await start();
  await member.client.leaseGrant({ id: 7n, ttl: 100 });
  assert.ok((await member.client.leaseKeepAlive(7n)).ttl > 0);
  await member.client.leaseRevoke({ id: 7n });
  assert.equal(Number((await member.client.leaseKeepAlive(7n)).ttl), 0);
});

regression(
  '#20221: a watch of a future revision is told of nothing before it, not even progress',
  async (start) => {
    await using member = await start();
    const { revision } = (await member.client.put(put('f'))).header!;
    await using stream = watchStream(member.channel);
    await stream.create({ key: bytes('f'), startRevision: revision + 3, progressNotify: true });
    await new Promise((resolve) => setTimeout(resolve, quietMs));
    for (let i = 0; i < 3; i++) await member.client.put(put('f'));
    assert.deepEqual(shown(await stream.next()), [`put f@${revision + 3}`]);
  },
  ['ours'],
);

regression(
  '#20707: a negative revision is no start of a watch',
  async (start) => {
    await using member = await start();
    await using stream = watchStream(member.channel);
    const answer = await stream.create({ key: bytes('n'), startRevision: -1 });
    assert.equal((answer.canceled ? answer : await stream.next()).canceled, true);
  },
  ['ours'],
);
