/**
 * Clusters of processes on loopback: all ours, all of the reference, and mixed. What one has acknowledged all have; whoever dies comes back; who joins
 * late catches up; and all agree on every hash, whoever leads.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  HashKVRequest,
  Lease,
  Maintenance,
  StatusRequest,
  Watch,
  WatchCreateRequest,
  WatchRequest,
} from '#api-etcd/gen/rpc.ts';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import type { CallOptions } from '#rpc/call.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { EtcdCluster, type Kind, type MemberProcess } from '#testkit/etcd-cluster.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

const bytes = utf8Encode;
const timeout = 180_000;

const mixes: readonly (readonly Kind[])[] = [
  ['ours', 'ours', 'ours'],
  ['reference', 'reference', 'reference'],
  ['ours', 'reference', 'reference'],
  ['reference', 'ours', 'ours'],
];

for (const kinds of mixes)
  describe(kinds.join(', '), { timeout }, () => {
    test('writes through every member, reads from every member, leaders of every kind, equal hashes', async () => {
      await using cluster = await EtcdCluster.start(kinds);
      for (const leader of cluster.members) {
        await lead(cluster, leader);
        for (const member of cluster.members) {
          await put(cluster, member, `${leader.name}-through-${member.name}`, '1');
          for (const other of cluster.members)
            assert.equal(await get(cluster, other, `${leader.name}-through-${member.name}`), '1');
        }
        await withClient(cluster, leader, async (client) => {
          const { id } = await client.leaseGrant({ ttl: 600 });
          await client.put({ key: bytes('leased'), value: bytes('x'), lease: id });
          await client.deleteRange({ key: bytes(`${leader.name}-through-m0`) });
          const { header } = await client.put({ key: bytes('k'), value: bytes(leader.name) });
          await client.compact({ revision: header!.revision - 2 });
          await client.leaseRevoke({ id });
        });
        await agree(cluster);
      }
    });

    test('whoever is killed, leader or not, comes back; nothing acknowledged is lost', async () => {
      await using cluster = await EtcdCluster.start(kinds);
      const written = new Map<string, string>();
      for (let round = 0; round < 3; round++) {
        const victim = cluster.members[round]!;
        if (round !== 1) await lead(cluster, victim);
        const others = cluster.members.filter((member) => member !== victim);
        await cluster.stop(victim, 'SIGKILL');
        for (let i = 0; i < 20; i++) {
          const [key, value] = [`r${round}-${i}`, `${i}`];
          await retried(() => put(cluster, others[i % 2]!, key, value));
          written.set(key, value);
        }
        cluster.run(victim, 'new');
        await cluster.serving(victim);
        for (const [key, value] of written) assert.equal(await get(cluster, victim, key), value);
        await agree(cluster);
      }
    });
  });

for (const kind of ['ours', 'reference'] as const)
  test(`${kind}: who asked for a leader is told when two of three are gone, on streams, too; who did not ask still watches`, {
    timeout,
  }, async () => {
    await using cluster = await EtcdCluster.start([kind, kind, kind]);
    const [left, ...others] = cluster.members as [MemberProcess, MemberProcess, MemberProcess];
    await using channel = cluster.channel(left);
    const metadata = [['hasleader', 'true']] as const;
    const watch = async (options: CallOptions) => {
      const call = channel.open(Watch.methods.watch, options);
      const createRequest = WatchCreateRequest.create({ key: bytes('k') });
      call.send(WatchRequest.create({ requestUnion: { case: 'createRequest', value: createRequest } }));
      const messages = call.messages[Symbol.asyncIterator]();
      assert.equal((await messages.next()).value!.created, true);
      return { call, messages };
    };
    const asking = await watch({ metadata });
    const plain = await watch({});
    const keepAlive = channel.open(Lease.methods.leaseKeepAlive, { metadata });
    keepAlive.send({ id: 1n });
    const kept = keepAlive.messages[Symbol.asyncIterator]();
    assert.equal((await kept.next()).value!.ttl, 0);
    for (const other of others) await cluster.stop(other, 'SIGKILL');
    const noLeader = { code: Code.Unavailable, message: 'etcdserver: no leader' };
    await assert.rejects(asking.messages.next(), noLeader);
    await assert.rejects(kept.next(), noLeader);
    const late = channel.open(Watch.methods.watch, { metadata });
    await assert.rejects(late.messages[Symbol.asyncIterator]().next(), noLeader);
    await assert.rejects(channel.unary(Maintenance.methods.status, StatusRequest.create(), { metadata }), noLeader);
    // It answers still: it is a stream like any other.
    plain.call.send(WatchRequest.create({ requestUnion: { case: 'cancelRequest', value: { watchId: 0 } } }));
    assert.equal((await plain.messages.next()).value!.canceled, true);
    plain.call.cancel();
  });

for (const [first, joiner] of [
  ['ours', 'reference'],
  ['reference', 'ours'],
  ['ours', 'ours'],
] as const)
  test(`a ${joiner} member joins a cluster of one ${first} member, gets its state, and takes over`, {
    timeout,
  }, async () => {
    await using cluster = await EtcdCluster.start([first], ['--snapshot-count', '50']);
    const [one] = cluster.members as [MemberProcess];
    await withClient(cluster, one, async (client) => {
      for (let i = 0; i < 6000; i += 200)
        await Promise.all(
          Array.from({ length: 200 }, (_, k) => client.put({ key: bytes(`k${k}`), value: bytes(`${i + k}`) })),
        );
    });
    const two = await cluster.add(joiner, one);
    await agree(cluster);
    await lead(cluster, two);
    await put(cluster, two, 'k0', 'new');
    assert.equal(await get(cluster, one, 'k0'), 'new');
    await agree(cluster);
  });

async function withClient<T>(
  cluster: EtcdCluster,
  member: MemberProcess,
  use: (client: EtcdClient) => Promise<T>,
): Promise<T> {
  await using channel = cluster.channel(member);
  return await use(createEtcdClient(channel, systemClock));
}

async function put(cluster: EtcdCluster, member: MemberProcess, key: string, value: string): Promise<void> {
  await withClient(cluster, member, (client) => client.put({ key: bytes(key), value: bytes(value) }));
}

async function get(cluster: EtcdCluster, member: MemberProcess, key: string): Promise<string | undefined> {
  const { kvs } = await withClient(cluster, member, (client) => client.range({ key: bytes(key) }));
  return kvs[0] && utf8Decode(kvs[0].value);
}

/** As a client that tries again. */
async function retried(attempt: () => Promise<void>): Promise<void> {
  for (let left = 20; ; left--)
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RpcError) || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

async function status(cluster: EtcdCluster, member: MemberProcess) {
  await using channel = cluster.channel(member);
  return await channel.unary(Maintenance.methods.status, StatusRequest.create());
}

/** Has a member lead. */
async function lead(cluster: EtcdCluster, target: MemberProcess): Promise<void> {
  const targetID = (await status(cluster, target)).header!.memberId;
  await retried(async () => {
    for (const member of cluster.members) {
      const { header, leader } = await status(cluster, member);
      if (leader === targetID) return;
      if (header!.memberId !== leader) continue;
      await using channel = cluster.channel(member);
      await channel.unary(Maintenance.methods.moveLeader, { targetID });
    }
    throw new RpcError(14, 'no leader yet');
  });
}

/** All have applied the same entries, and hold the same. */
async function agree(cluster: EtcdCluster): Promise<void> {
  for (let left = 100; ; left--) {
    const hashes = await Promise.all(
      cluster.members.map(async (member) => {
        await using channel = cluster.channel(member);
        const { hash, header } = await channel.unary(Maintenance.methods.hashKV, HashKVRequest.create());
        return `${header!.revision}:${hash}`;
      }),
    );
    if (new Set(hashes).size === 1) return;
    if (left === 0) assert.fail(`members disagree: ${hashes}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
