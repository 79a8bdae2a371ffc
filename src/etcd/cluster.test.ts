/** Several members as one: elections, writes and reads through any of them, failures, changes of membership, members that come late. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import {
  AlarmType,
  Auth,
  AuthUserAddRequest,
  Cluster,
  KV,
  Lease,
  Maintenance,
  RangeRequest,
  Watch,
} from '#api-etcd/gen/rpc.ts';
import { drainTurns, nextTurn } from '#host/event-loop.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { initial, TestCluster } from '#testkit/etcd-test-cluster.ts';
import type { EtcdConfig } from './start.ts';

const bytes = utf8Encode;
const timeout = 30_000;

const three = ['a', 'b', 'c'];

describe('three members', { timeout }, () => {
  test('write and read through any of them, and agree', async () => {
    await using cluster = await TestCluster.start(three);
    for (const name of three) await cluster.put(name, `from-${name}`, name);
    for (const name of three) assert.equal(await cluster.get(name, 'from-b'), 'b');
    await cluster.agree();
    const { members } = await cluster.passes(
      cluster.members.get('a')!.connect().unary(Cluster.methods.memberList, { linearizable: true }),
    );
    assert.deepEqual(members.map(({ name, clientURLs }) => [name, clientURLs]).sort(), [
      ['a', ['http://a:2379']],
      ['b', ['http://b:2379']],
      ['c', ['http://c:2379']],
    ]);
    await cluster.until(() => cluster.members.get('a')!.member.machine.clusterVersion === '3.5.0');
  });

  test('the leader is killed: the others go on, and it comes back with everything', async () => {
    await using cluster = await TestCluster.start(three);
    await cluster.put('a', 'before', '1');
    const killed = cluster.leaderName!;
    cluster.kill(killed);
    await cluster.until(() => cluster.leaderName !== undefined);
    const [one] = cluster.followerNames;
    await cluster.put(one!, 'meanwhile', '2');
    cluster.peers.heal();
    await cluster.startMember(killed);
    await cluster.agree();
    for (const name of three) {
      assert.equal(await cluster.get(name, 'before'), '1');
      assert.equal(await cluster.get(name, 'meanwhile'), '2');
    }
  });

  test('a write through a follower, while the leader is dead and nobody knows it yet, waits for the next leader', async () => {
    await using cluster = await TestCluster.start(three);
    cluster.kill(cluster.leaderName!);
    const [follower] = cluster.followerNames;
    assert.notEqual(cluster.members.get(follower!)!.member.leader, 0n, 'it still thinks that the dead one leads');
    const beforeMs = cluster.clock.monotonicMs();
    await cluster.put(follower!, 'meanwhile', 'yes');
    // An election, not the timeout of a request.
    assert.ok(cluster.clock.monotonicMs() - beforeMs < 5000);
    await cluster.agree();
  });

  test('a write that dies with the leader is answered when the next one leads, not after the timeout', async () => {
    await using cluster = await TestCluster.start(three);
    const [follower] = cluster.followerNames;
    const { member } = cluster.members.get(follower!)!;
    const writing = cluster.client(follower!).put({ key: bytes('lost'), value: bytes('yes') });
    writing.catch(() => {});
    // It is on its way when the leader dies.
    while (member.proposalsWaiting === 0 || member.replica!.proposalsHeld > 0) await nextTurn();
    cluster.kill(cluster.leaderName!);
    const beforeMs = cluster.clock.monotonicMs();
    await assert.rejects(cluster.passes(writing), (error) => isEtcdError(error, 'timeoutLeaderFailed'));
    assert.ok(cluster.clock.monotonicMs() - beforeMs < 5000);
    await cluster.put(follower!, 'lost', 'again');
    await cluster.agree();
  });

  test('when all start, they have a leader before a timeout has passed', async () => {
    await using cluster = await TestCluster.start(three);
    assert.ok(cluster.clock.monotonicMs() < 1000);
    assert.equal(cluster.members.get(cluster.leaderName!)!.member.term, 2);
  });
  test('a leader that is cut off answers no linearizable read and no write, only what it has', async () => {
    await using cluster = await TestCluster.start(three);
    await cluster.put('a', 'k', 'old');
    const old = cluster.leaderName!;
    cluster.peers.isolate(cluster.members.get(old)!.member.identity.memberId);
    const others = three.filter((name) => name !== old);
    const read = cluster.client(old).range({ key: bytes('k') });
    read.catch(() => {});
    await cluster.until(() => others.some((name) => cluster.members.get(name)!.member.isLeader));
    const leader = others.find((name) => cluster.members.get(name)!.member.isLeader)!;
    await cluster.put(leader, 'k', 'new');
    assert.equal(await cluster.get(old, 'k', true), 'old');
    await assert.rejects(
      cluster.passes(read),
      (error) => isEtcdError(error, 'timeout') || isEtcdError(error, 'timeoutLeaderFailed'),
    );
    await assert.rejects(cluster.put(old, 'k', 'lost'));
    cluster.peers.heal();
    await cluster.agree();
    assert.equal(await cluster.get(old, 'k'), 'new');
  });

  test('streams that ask for a leader end when there is none for a while, the others wait', async () => {
    await using cluster = await TestCluster.start(three);
    const [name] = cluster.followerNames as [string];
    const { member } = cluster.members.get(name)!;
    await using channel = cluster.members.get(name)!.connect();
    const hasLeader = { metadata: [['hasleader', 'true']] } as const;
    const ends: string[] = [];
    const follow = async (what: string, messages: AsyncIterable<unknown>) => {
      try {
        for await (const _ of messages);
        ends.push(`${what}: ended`);
      } catch (error) {
        ends.push(`${what}: ${isEtcdError(error, 'noLeader') ? 'no leader' : error}`);
      }
    };
    await using watch = channel.open(Watch.methods.watch, hasLeader);
    await using keepAlive = channel.open(Lease.methods.leaseKeepAlive, hasLeader);
    await using patient = channel.open(Watch.methods.watch);
    void follow('watch', watch.messages);
    void follow('keep-alive', keepAlive.messages);
    void follow('patient', patient.messages);
    cluster.peers.isolate(member.identity.memberId);
    await cluster.until(() => member.leader === 0n);
    const sinceMs = cluster.clock.monotonicMs();
    await assert.rejects(
      cluster.passes(
        channel.unary(KV.methods.range, RangeRequest.create({ key: bytes('k'), serializable: true }), hasLeader),
      ),
      (error) => isEtcdError(error, 'noLeader'),
    );
    assert.deepEqual(ends, []);
    await cluster.until(() => ends.length > 0);
    assert.ok(cluster.clock.monotonicMs() - sinceMs > 2 * member.electionTimeoutMs);
    assert.deepEqual(ends.sort(), ['keep-alive: no leader', 'watch: no leader']);
    // With a leader again, nobody is cut off.
    cluster.peers.heal();
    await cluster.until(() => member.leader !== 0n);
    await using again = channel.open(Watch.methods.watch, hasLeader);
    void follow('again', again.messages);
    await cluster.clock.advance(10 * member.electionTimeoutMs, drainTurns);
    assert.equal(ends.length, 2);
  });

  test('a clean stop of the leader hands over: the next write waits for no election', async () => {
    await using cluster = await TestCluster.start(three);
    const leader = cluster.leaderName!;
    const [follower] = cluster.followerNames;
    const stopping = cluster.members.get(leader)![Symbol.asyncDispose]();
    cluster.members.delete(leader);
    const startMs = cluster.clock.monotonicMs();
    await cluster.until(() => cluster.leaderName !== undefined);
    assert.ok(cluster.clock.monotonicMs() - startMs < 500, 'before an election could have begun');
    await cluster.put(follower!, 'k', 'v');
    await cluster.passes(stopping);
  });

  test('move-leader, only by the leader and only to a voter', async () => {
    await using cluster = await TestCluster.start(three);
    const leader = cluster.leaderName!;
    const [follower] = cluster.followerNames as [string];
    const targetID = cluster.members.get(follower)!.member.identity.memberId;
    const move = (name: string, target: bigint) =>
      cluster.passes(cluster.members.get(name)!.connect().unary(Maintenance.methods.moveLeader, { targetID: target }));
    await assert.rejects(move(follower, targetID), (error) => isEtcdError(error, 'notLeader'));
    await assert.rejects(move(leader, 5n), (error) => isEtcdError(error, 'badLeaderTransferee'));
    await move(leader, targetID);
    assert.equal(cluster.leaderName, follower);
  });

  test('a lease outlives an election, however long one takes', async () => {
    await using cluster = await TestCluster.start(three, { electionTimeoutMs: 4000 });
    const { ttl } = await cluster.passes(cluster.client('a').leaseGrant({ id: 3n, ttl: 1 }));
    assert.equal(ttl, 6);
  });

  test('leases: kept alive through a follower, never ended early by a new leader, ended in the end', async () => {
    await using cluster = await TestCluster.start(three);
    const [follower] = cluster.followerNames as [string];
    const client = cluster.client(follower);
    await cluster.passes(client.leaseGrant({ id: 9n, ttl: 5 }));
    await cluster.passes(client.put({ key: bytes('held'), lease: 9n }));
    const keepAlive = async (name: string) => {
      await using call = cluster.members.get(name)!.connect().open(Lease.methods.leaseKeepAlive);
      call.send({ id: 9n });
      for await (const { ttl } of call.messages) return ttl;
      return undefined;
    };
    for (let i = 0; i < 3; i++) {
      await cluster.until(advanced(cluster, 3000));
      assert.equal(await cluster.passes(keepAlive(follower)), 5);
    }
    const told = await cluster.passes(
      cluster.members.get(follower)!.connect().unary(Lease.methods.leaseTimeToLive, { id: 9n, keys: true }),
    );
    assert.ok(told.ttl >= 4 && told.grantedTTL === 5 && told.keys.length === 1, JSON.stringify(told.ttl));
    cluster.kill(cluster.leaderName!);
    await cluster.until(() => cluster.leaderName !== undefined);
    const [left] = [...cluster.members.keys()];
    await cluster.until(advanced(cluster, 3000));
    assert.equal(await cluster.get(left!, 'held'), '');
    await cluster.until(advanced(cluster, 4000));
    assert.equal(await cluster.get(left!, 'held'), undefined);
  });

  test('a leader that loses the lead before it has ended a lease, and gets it back, gives it its whole time again', async () => {
    await using cluster = await TestCluster.start(three);
    const leader = cluster.leaderName!;
    const [other, gone] = cluster.followerNames as [string, string];
    cluster.kill(gone);
    const client = cluster.client(leader);
    await cluster.passes(client.leaseGrant({ id: 9n, ttl: 2 }));
    await cluster.passes(client.put({ key: bytes('held'), lease: 9n }));
    await cluster.until(advanced(cluster, 1500));
    cluster.peers.isolate(cluster.members.get(leader)!.member.identity.memberId);
    // Its log is the longer one: nobody else can be elected.
    const lost = client.put({ key: bytes('more'), value: bytes('x') });
    lost.catch(() => {});
    await cluster.until(() => cluster.members.get(leader)!.member.expiry.isExpired(9n));
    await cluster.until(() => cluster.leaderName === undefined);
    cluster.peers.heal();
    await cluster.until(() => cluster.leaderName === leader);
    await cluster.until(advanced(cluster, 1000));
    assert.equal(await cluster.get(other, 'held'), '');
    await cluster.until(advanced(cluster, 3000));
    assert.equal(await cluster.get(other, 'held'), undefined);
  });
});

describe('changes of membership', { timeout }, () => {
  const add = (cluster: TestCluster, via: string, name: string, isLearner = false) =>
    cluster.passes(
      cluster.members
        .get(via)!
        .connect()
        .unary(Cluster.methods.memberAdd, { peerURLs: [...initial(name).peerUrls], isLearner }),
    );
  const joining = (names: readonly string[]): EtcdConfig => ({
    initialCluster: names.map(initial),
    initialClusterState: 'existing',
  });

  test('one member becomes three, one at a time, each caught up before the next', async () => {
    await using cluster = await TestCluster.start(['a']);
    for (let i = 0; i < 50; i++) await cluster.put('a', `k${i}`, `${i}`);
    await add(cluster, 'a', 'b');
    await cluster.startMember('b', joining(['a', 'b']));
    await cluster.passes(cluster.members.get('b')!.ready);
    await add(cluster, 'a', 'c');
    await cluster.startMember('c', joining(three));
    await cluster.passes(cluster.members.get('c')!.ready);
    await cluster.put('c', 'last', 'c');
    await cluster.agree();
    assert.equal(await cluster.get('b', 'k42'), '42');
  });

  test('a learner follows without a vote, serves only stale reads, and is promoted when it has caught up', async () => {
    await using cluster = await TestCluster.start(['a', 'b', 'c']);
    const { member } = await add(cluster, 'a', 'd', true);
    const promote = (via: string) =>
      cluster.passes(cluster.members.get(via)!.connect().unary(Cluster.methods.memberPromote, { id: member!.id }));
    await assert.rejects(promote('a'), (error) => isEtcdError(error, 'learnerNotReady'));
    await assert.rejects(add(cluster, 'b', 'e', true), (error) => isEtcdError(error, 'tooManyLearners'));
    await cluster.startMember('d', joining(['a', 'b', 'c', 'd']));
    await cluster.put('b', 'k', 'v');
    const learner = cluster.members.get('d')!;
    await cluster.until(() => learner.member.store.revision > 1);
    assert.equal(learner.member.isLearner, true);
    assert.equal(await cluster.get('d', 'k', true), 'v');
    await assert.rejects(cluster.get('d', 'k'), (error) => isEtcdError(error, 'notSupportedForLearner'));
    await promote(cluster.followerNames.find((name) => name !== 'd')!);
    await cluster.until(() => !learner.member.isLearner);
    await cluster.put('d', 'k', 'w');
    await cluster.agree();
    await assert.rejects(promote('a'), (error) => isEtcdError(error, 'memberNotLearner'));
  });

  test('where it is asked for, a learner becomes a voter when it has caught up, and one that never came does not', async () => {
    await using cluster = await TestCluster.start(['a', 'b', 'c'], { promoteLearners: true });
    for (let i = 0; i < 30; i++) await cluster.put('a', 'k', `${i}`);
    const { member } = await add(cluster, 'a', 'd', true);
    const leader = () => cluster.members.get(cluster.leaderName!)!.member;
    const untilMs = cluster.clock.monotonicMs() + 10_000;
    await cluster.until(() => cluster.clock.monotonicMs() >= untilMs);
    assert.equal(leader().machine.members.get(member!.id)?.isLearner, true);
    await cluster.startMember('d', joining(['a', 'b', 'c', 'd']));
    const learner = cluster.members.get('d')!;
    await cluster.until(
      () => leader().machine.members.get(member!.id)?.isLearner === false && !learner.member.isLearner,
    );
    await cluster.put('d', 'k', 'w');
    await cluster.agree();
  });

  test('a member that is cut off says that it is alive, but neither healthy nor ready', async () => {
    await using cluster = await TestCluster.start(['a', 'b', 'c']);
    const leader = cluster.members.get(cluster.leaderName!)!;
    const ask = async (target: string) => {
      const answer = leader.health({
        method: 'GET',
        target,
        headers: [],
        authority: 'localhost',
        protocol: 'HTTP/1.1',
        body: (async function* () {})(),
        peer: { address: '127.0.0.1' },
        signal: AbortSignal.timeout(timeout),
      });
      const { status, body } = await cluster.passes(Promise.resolve(answer));
      return { status, body: Buffer.from(body as Uint8Array).toString() };
    };
    assert.equal((await ask('/health')).status, 200);
    assert.equal((await ask('/readyz')).status, 200);
    cluster.peers.isolate(leader.member.identity.memberId);
    const cutOff = await ask('/readyz');
    assert.equal(cutOff.status, 503);
    assert.match(cutOff.body, /^\[-\]linearizable_read failed: etcdserver: /m);
    assert.match(cutOff.body, /^\[\+\]serializable_read ok$/m);
    await cluster.until(() => leader.member.leader === 0n);
    assert.deepEqual(await ask('/health'), { status: 503, body: '{"health":"false","reason":"RAFT NO LEADER"}\n' });
    assert.equal((await ask('/health?serializable=true')).status, 200);
    assert.equal((await ask('/livez')).status, 200);
  });

  test('with authentication on, a learner is promoted through a follower for administrators alone, on the peer port, too', async () => {
    await using cluster = await TestCluster.start(three, { bcryptCost: 4 });
    const channel = cluster.members.get('a')!.connect();
    const { methods } = Auth;
    // Passwords are hashed on a thread, which takes its time: the machine's.
    const hashed = async <T>(promise: Promise<T>) => {
      let settled = false;
      const mark = () => {
        settled = true;
      };
      promise.then(mark, mark);
      while (!settled) {
        await cluster.clock.advance(1, drainTurns);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return promise;
    };
    for (const name of ['root', 'guest'])
      await hashed(channel.unary(methods.userAdd, AuthUserAddRequest.create({ name, password: name })));
    await cluster.passes(channel.unary(methods.userGrantRole, { user: 'root', role: 'root' }));
    const { member } = await add(cluster, 'a', 'd', true);
    await cluster.startMember('d', joining(['a', 'b', 'c', 'd']));
    await cluster.passes(cluster.members.get('d')!.ready);
    await cluster.passes(channel.unary(methods.authEnable, {}));
    const tokenOf = async (name: string) =>
      (await hashed(channel.unary(methods.authenticate, { name, password: name }))).token;
    const [root, guest] = [await tokenOf('root'), await tokenOf('guest')];

    const id = member!.id;
    const leader = cluster.peers.transport([]).callsTo([`http://${cluster.leaderName}:2380`]);
    await assert.rejects(leader.promote(id, undefined), (error) => isEtcdError(error, 'userEmpty'));
    await assert.rejects(leader.promote(id, guest), (error) => isEtcdError(error, 'permissionDenied'));
    await assert.rejects(leader.promote(id, 'root.1'), (error) => isEtcdError(error, 'invalidAuthToken'));
    const follower = cluster.members.get(cluster.followerNames.find((name) => name !== 'd')!)!.connect();
    const promote = (token: string) =>
      cluster.passes(follower.unary(Cluster.methods.memberPromote, { id }, { metadata: [['token', token]] }));
    await assert.rejects(promote(guest), (error) => isEtcdError(error, 'permissionDenied'));
    await promote(root);
    await cluster.until(() => !cluster.members.get('d')!.member.isLearner);
  });

  test('a change of membership that is refused holds up no read, neither before the next write nor after a restart', async () => {
    await using cluster = await TestCluster.start(three);
    await cluster.put('a', 'k', 'v');
    await add(cluster, 'a', 'd', true);
    // At the same time it would have the same id.
    await assert.rejects(add(cluster, 'b', 'd', true), (error) => isEtcdError(error, 'memberExists'));
    for (const name of three) assert.equal(await cluster.get(name, 'k'), 'v');
    const [again] = cluster.followerNames as [string];
    await cluster.stop(again);
    await cluster.startMember(again);
    assert.equal(await cluster.get(again, 'k'), 'v');
    await cluster.agree();
  });

  test('while one of three is down, a fourth is refused that would leave no quorum if it did not come, unless nobody checks', async () => {
    for (const strictReconfigCheck of [true, false]) {
      await using cluster = await TestCluster.start(three, { strictReconfigCheck });
      cluster.kill(cluster.followerNames[0]!);
      const via = cluster.leaderName!;
      const adding = add(cluster, via, 'd');
      if (strictReconfigCheck) await assert.rejects(adding, (error) => isEtcdError(error, 'unhealthy'));
      else assert.equal((await adding).members.length, 4);
    }
  });

  test('a member that was removed stops, and the rest go on', async () => {
    await using cluster = await TestCluster.start(three);
    const [gone] = cluster.followerNames as [string];
    const etcd = cluster.members.get(gone)!;
    const via = cluster.leaderName!;
    const { memberId } = etcd.member.identity;
    const { members } = await cluster.passes(
      cluster.members.get(via)!.connect().unary(Cluster.methods.memberRemove, { id: memberId }),
    );
    assert.equal(members.length, 2);
    await cluster.passes(etcd.failed);
    cluster.members.delete(gone);
    await cluster.passes(etcd[Symbol.asyncDispose]());
    await cluster.put(via, 'k', 'v');
    await assert.rejects(
      cluster.passes(cluster.members.get(via)!.connect().unary(Cluster.methods.memberRemove, { id: memberId })),
    );
  });

  test('a member that was stopped on its way out, and is started again, leaves again', async () => {
    await using cluster = await TestCluster.start(three);
    const [gone] = cluster.followerNames as [string];
    const etcd = cluster.members.get(gone)!;
    const { memberId } = etcd.member.identity;
    const via = cluster.members.get(cluster.leaderName!)!.connect();
    await cluster.passes(via.unary(Cluster.methods.memberRemove, { id: memberId }));
    await cluster.until(() => etcd.member.machine.members.isRemoved(memberId));
    await cluster.passes(etcd[Symbol.asyncDispose]());
    const again = await cluster.passes(cluster.startMember(gone));
    assert.match(String(await cluster.passes(again.failed)), /permanently removed from the cluster/);
    cluster.members.delete(gone);
    await cluster.passes(again[Symbol.asyncDispose]());
  });

  test('a member that was away for long gets the state instead of the log, and watches on it miss nothing', async () => {
    await using cluster = await TestCluster.start(three);
    const [late] = cluster.followerNames as [string];
    await cluster.put('a', 'w0', '0');
    const lateMember = cluster.members.get(late)!.member;
    const watch = cluster.client(late).watch({ key: bytes('w'), rangeEnd: bytes('x'), startRevision: 2 });
    const seen: string[] = [];
    void (async () => {
      for await (const item of watch)
        if ('events' in item) for (const { kv } of item.events) seen.push(utf8Decode(kv!.value));
    })().catch(() => {});
    await cluster.until(() => seen.length === 1);
    cluster.peers.isolate(lateMember.identity.memberId);
    const via = cluster.leaderName === late ? cluster.followerNames[0]! : cluster.leaderName!;
    await cluster.until(() => cluster.leaderName !== undefined && cluster.leaderName !== late);
    const client = cluster.client(via);
    const count = 7000;
    for (let from = 1; from <= count; from += 500)
      await cluster.passes(
        Promise.all(
          Array.from({ length: 500 }, (_, i) => client.put({ key: bytes(`w${i}`), value: bytes(`${from + i}`) })),
        ),
      );
    cluster.peers.heal();
    await cluster.until(() => cluster.peers.snapshots > 0);
    await cluster.agree();
    await cluster.until(() => seen.length === count + 1);
    assert.deepEqual(
      seen.map(Number),
      Array.from({ length: count + 1 }, (_, i) => i),
    );
    // It lasts: the state that came is the one on its disk.
    cluster.kill(late);
    cluster.peers.heal();
    await cluster.startMember(late);
    await cluster.agree();
  });
});

test('a member that holds other data is named by an alarm, and the cluster refuses to go on', { timeout }, async () => {
  await using cluster = await TestCluster.start(three, { corruptCheckIntervalMs: 1000 });
  await cluster.put('a', 'k', 'v');
  await cluster.agree();
  await cluster.until(advanced(cluster, 3000));
  assert.deepEqual(cluster.members.get('a')!.member.machine.alarms, []);
  const [rotten] = cluster.followerNames as [string];
  const { store, identity } = cluster.members.get(rotten)!.member;
  store.beginWrite();
  store.put(bytes('k'), bytes('bit rot'), 0n);
  store.endWrite();
  const via = cluster.leaderName!;
  await cluster.put(via, 'k', 'w');
  await cluster.until(() => cluster.members.get(via)!.member.machine.alarms.length > 0);
  assert.deepEqual(cluster.members.get(via)!.member.machine.alarms, [
    { memberID: identity.memberId, alarm: AlarmType.CORRUPT },
  ]);
  await assert.rejects(cluster.put(via, 'k', 'x'), (error) => isEtcdError(error, 'corrupt'));
});

describe('a lost quorum', { timeout }, () => {
  test('one member goes on alone with everything that was acknowledged, and the cluster grows again', async () => {
    await using cluster = await TestCluster.start(three);
    for (let i = 0; i < 20; i++) await cluster.put('a', `k${i}`, `${i}`);
    await cluster.agree();
    for (const name of three) cluster.kill(name);
    cluster.peers.heal();
    await cluster.startMember('b', { forceNewCluster: true });
    await cluster.until(() => cluster.leaderName === 'b');
    await cluster.put('b', 'k0', 'new');
    assert.equal(await cluster.get('b', 'k19'), '19');
    const members = await cluster.passes(
      cluster.members.get('b')!.connect().unary(Cluster.methods.memberList, { linearizable: true }),
    );
    assert.deepEqual(
      members.members.map(({ name }) => name),
      ['b'],
    );
    // It stays so.
    cluster.kill('b');
    cluster.peers.heal();
    await cluster.startMember('b');
    await cluster.until(() => cluster.leaderName === 'b');
    await cluster.passes(
      cluster.members
        .get('b')!
        .connect()
        .unary(Cluster.methods.memberAdd, {
          peerURLs: ['http://d:2380'],
          isLearner: false,
        }),
    );
    await cluster.startMember('d', { initialCluster: ['b', 'd'].map(initial), initialClusterState: 'existing' });
    await cluster.put('d', 'k1', 'new');
    await cluster.agree();
  });
});

function advanced(cluster: TestCluster, byMs: number): () => boolean {
  const untilMs = cluster.clock.monotonicMs() + byMs;
  return () => cluster.clock.monotonicMs() >= untilMs;
}
