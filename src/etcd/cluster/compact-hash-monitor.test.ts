/** Compactions compared: who is a culprit, and a cluster in which one member holds something else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { AlarmType } from '#api-etcd/gen/rpc.ts';
import { utf8Encode as bytes } from '#std/bytes.ts';
import { TestCluster } from '#testkit/etcd-test-cluster.ts';
import { compareCompactions } from './compact-hash-monitor.ts';

describe('who differs', () => {
  const own = { hash: 1, compactRevision: 5, hashRevision: 9 };
  /** By id; undefined for no answer. */
  const compared = (hashes: Readonly<Record<number, number | undefined>>, compactRevision = 5) =>
    compareCompactions(
      1n,
      own,
      Object.entries(hashes).map(([id, hash]) => ({
        id: BigInt(id),
        peerUrls: [],
        hash: hash === undefined ? undefined : { hash, compactRevision, hashRevision: 9, revision: 12 },
        error: undefined,
      })),
    );

  test('nobody', () => assert.deepEqual(compared({ 2: 1, 3: 1 }), { culprits: [], answered: 2 }));
  test('the minority', () => assert.deepEqual(compared({ 2: 1, 3: 7 }).culprits, [3n]));
  test('the leader, when it is the minority', () => assert.deepEqual(compared({ 2: 7, 3: 7 }).culprits, [1n]));
  test('each of a minority that differs among itself', () =>
    assert.deepEqual(compared({ 2: 1, 3: 1, 4: 7, 5: 8 }).culprits, [4n, 5n]));
  test('somebody, when there is no majority', () => {
    assert.deepEqual(compared({ 2: 7 }).culprits, [0n]);
    assert.deepEqual(compared({ 2: 7, 3: 8 }).culprits, [0n]);
    assert.deepEqual(compared({ 2: 1, 3: 7, 4: 7 }).culprits, [0n]);
  });
  test('somebody, when too few have answered for a majority of all', () =>
    assert.deepEqual(compared({ 2: 7, 3: undefined }).culprits, [0n]));
  test('not who was not there, or has compacted at other revisions', () => {
    assert.deepEqual(compared({ 2: undefined, 3: undefined }), { culprits: [], answered: 0 });
    assert.deepEqual(compared({ 2: 7, 3: 8 }, 4), { culprits: [], answered: 0 });
  });
});

describe('three members', { timeout: 30_000 }, () => {
  const config = { corruptCheckIntervalMs: 0, compactHashCheckIntervalMs: 1000 };
  const alarms = (cluster: TestCluster) => cluster.members.get(cluster.leaderName!)!.member.machine.alarms;
  const compact = (cluster: TestCluster, revision: number) =>
    cluster.passes(cluster.client(cluster.leaderName!).compact({ revision }));
  const passMs = async (cluster: TestCluster, ms: number) => {
    const untilMs = cluster.clock.monotonicMs() + ms;
    await cluster.until(() => cluster.clock.monotonicMs() >= untilMs);
  };

  test('hold the same: no alarm, however many compactions, and whoever was away for some', async () => {
    await using cluster = await TestCluster.start(['a', 'b', 'c'], config);
    for (let i = 0; i < 10; i++) await cluster.put('a', `k${i % 2}`, `${i}`);
    await compact(cluster, 5);
    await passMs(cluster, 2500);
    const [away] = cluster.followerNames as [string];
    cluster.kill(away);
    await compact(cluster, 7);
    cluster.peers.heal();
    await cluster.startMember(away);
    await compact(cluster, 9);
    await passMs(cluster, 2500);
    assert.deepEqual(alarms(cluster), []);
  });

  test('one has held something else, in a version that the compaction drops: it is named, and nothing is written', async () => {
    await using cluster = await TestCluster.start(['a', 'b', 'c'], config);
    await cluster.put('a', 'k', 'before');
    await cluster.agree();
    const via = cluster.leaderName!;
    const [rotten] = cluster.followerNames as [string];
    const { store, identity } = cluster.members.get(rotten)!.member;
    for (const version of store.all()) version.record[version.record.length - 1]! ^= 1;
    await cluster.put(via, 'k', 'after');
    const { header } = await cluster.put(via, 'k', 'last');
    await cluster.agree().then(
      () => assert.fail('they do not hold the same'),
      () => {},
    );
    await compact(cluster, header!.revision);
    // What differed is gone.
    await cluster.agree();
    await cluster.until(() => alarms(cluster).length > 0);
    assert.deepEqual(alarms(cluster), [{ memberID: identity.memberId, alarm: AlarmType.CORRUPT }]);
    assert.ok(cluster.log.some((line) => line.includes('Detected compaction hash mismatch of member')));
    await assert.rejects(cluster.passes(cluster.client(via).put({ key: bytes('k') })), (error) =>
      isEtcdError(error, 'corrupt'),
    );
  });
});
