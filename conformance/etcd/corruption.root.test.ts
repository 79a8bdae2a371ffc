/**
 * Members whose disk holds other data than the others': found before they serve, or at the next compaction, by ours and by the reference, in clusters of one
 * kind and mixed.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { AlarmRequest, AlarmType, Maintenance, StatusRequest } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { utf8Encode as bytes } from '#std/bytes.ts';
import { EtcdCluster, type Kind, type MemberProcess } from '#testkit/etcd-cluster.ts';

const timeout = 60_000;
/** The check by the clock is not what is tested here. */
const compactions = [
  ...['--experimental-compact-hash-check-enabled', '--experimental-compact-hash-check-time', '1s'],
  ...['--experimental-corrupt-check-time', '0s'],
];
/** The reference knows its peers before it serves by a raft snapshot alone. */
const flags = ['--experimental-initial-corrupt-check', '--snapshot-count', '3'];

const mixes: readonly (readonly Kind[])[] = [
  ['ours', 'ours', 'ours'],
  ['reference', 'reference', 'reference'],
  ['ours', 'reference', 'reference'],
  ['reference', 'ours', 'ours'],
];

/** Changes a value on a member's disk, as bit rot would: pages have no sums. */
function damage({ dataDir }: MemberProcess): void {
  const path = join(dataDir, 'member/snap/db');
  const file = readFileSync(path);
  let found = 0;
  for (let at = file.indexOf('right'); at >= 0; at = file.indexOf('right', at + 1)) {
    file.write('wrong', at);
    found++;
  }
  assert.ok(found > 0);
  writeFileSync(path, file);
}

async function put(cluster: EtcdCluster, member: MemberProcess, value: string): Promise<number> {
  await using channel = cluster.channel(member);
  const { header } = await createEtcdClient(channel, systemClock).put({ key: bytes('k'), value: bytes(value) });
  return header!.revision;
}

async function statusOf(cluster: EtcdCluster, member: MemberProcess) {
  await using channel = cluster.channel(member);
  return await channel.unary(Maintenance.methods.status, StatusRequest.create());
}

/** Whoever leads. */
async function leaderOf(cluster: EtcdCluster): Promise<MemberProcess> {
  const { leader } = await statusOf(cluster, cluster.members[1]!);
  for (const member of cluster.members) if ((await idOf(cluster, member)) === leader) return member;
  return assert.fail('nobody leads');
}

/** By the member asked. */
async function alarmsOf(cluster: EtcdCluster, member: MemberProcess) {
  await using channel = cluster.channel(member);
  return (await channel.unary(Maintenance.methods.alarm, AlarmRequest.create())).alarms;
}

async function compact(cluster: EtcdCluster, member: MemberProcess, revision: number): Promise<void> {
  await using channel = cluster.channel(member);
  await createEtcdClient(channel, systemClock).compact({ revision, physical: true });
}

async function idOf(cluster: EtcdCluster, member: MemberProcess): Promise<bigint> {
  return (await statusOf(cluster, member)).header!.memberId;
}

for (const kinds of mixes)
  describe(kinds.join(', '), { timeout }, () => {
    test('the first is damaged while it is down: it says so and does not start; undamaged it does', async () => {
      await using cluster = await EtcdCluster.start(kinds, flags);
      const [victim, other] = cluster.members as [MemberProcess, MemberProcess];
      const id = await idOf(cluster, victim);
      for (let i = 0; i < 10; i++) await put(cluster, other, `right ${i}`);
      await cluster.serving(victim);
      await cluster.stop(victim);
      cluster.run(victim, 'new');
      await cluster.serving(victim);
      await cluster.stop(victim);
      damage(victim);
      victim.log = '';
      cluster.run(victim, 'new');
      const { child } = victim;
      await Promise.race([once(child!, 'close'), new Promise((resolve) => setTimeout(resolve, 30_000))]);
      assert.equal(child!.exitCode, 1, victim.log);
      for (const words of [
        'starting initial corruption check',
        'found different hash values from remote peer',
        'checkInitialHashKV failed',
        `${id.toString(16)} found data inconsistency with peers`,
      ])
        assert.ok(victim.log.includes(words), `${words}: ${victim.log}`);
      // The others go on.
      await put(cluster, other, 'more');
    });

    test('the first is damaged while it is down: no alarm before, an alarm after the next compaction', async () => {
      await using cluster = await EtcdCluster.start(kinds, compactions);
      const [victim, other] = cluster.members as [MemberProcess, MemberProcess];
      const id = await idOf(cluster, victim);
      for (let i = 0; i < 10; i++) await put(cluster, other, `right ${i}`);
      await compact(cluster, other, 4);
      await new Promise((resolve) => setTimeout(resolve, 3000));
      assert.deepEqual(await alarmsOf(cluster, other), []);
      await cluster.stop(victim);
      damage(victim);
      cluster.run(victim, 'new');
      await cluster.serving(victim);
      await compact(cluster, other, await put(cluster, other, 'newest'));
      for (let left = 100; left > 0 && (await alarmsOf(cluster, other)).length === 0; left--)
        await new Promise((resolve) => setTimeout(resolve, 100));
      // 3.5 names nobody, which is what 0 says; 3.6 and ours name the minority.
      const memberID = (await leaderOf(cluster)).kind === 'ours' ? id : 0n;
      assert.deepEqual(await alarmsOf(cluster, other), [{ memberID, alarm: AlarmType.CORRUPT }]);
    });
  });
