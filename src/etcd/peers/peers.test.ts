/** Two members' networks on loopback: order, reconnection, slow and absent peers, refusals, snapshots. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Entry, Message, MessageType, Snapshot, SnapshotMetadata } from '#api-etcd/gen/raft.ts';
import { nextTurn } from '#host/event-loop.ts';
import { connect, type RecordingMember, startRecordingMember } from './recording-member.suite.ts';

const idA = 0x8211f1d0f64f3269n;
const idB = 0x91bc3c398fb3c146n;

function append(to: RecordingMember, index: number, dataBytes = 20, from = idA): Message {
  return Message.create({
    type: MessageType.MsgApp,
    from,
    to: to.id,
    term: 2,
    logTerm: 2,
    index,
    commit: index,
    entries: [Entry.create({ term: 2, index: index + 1, data: Buffer.alloc(dataBytes, index) })],
  });
}

function heartbeat(to: RecordingMember, commit: number): Message {
  return Message.create({ type: MessageType.MsgHeartbeat, from: idA, to: to.id, term: 2, commit });
}

test('messages arrive whole and in order on each stream, both ways', async () => {
  await using a = await startRecordingMember({ id: idA });
  await using b = await startRecordingMember({ id: idB });
  await connect(a, b);
  const count = 3000;
  for (let i = 0; i < count; i++) {
    a.network.send([append(b, i, i % 50 === 0 ? 100_000 : 100), heartbeat(b, i)]);
    if (i % 100 === 0) await nextTurn();
  }
  b.network.send([Message.create({ type: MessageType.MsgAppResp, from: idB, to: idA, term: 2, index: 7 })]);
  await b.until(() => b.received.length === 2 * count);
  const appends = b.received.filter(({ type }) => type === MessageType.MsgApp);
  assert.deepEqual(
    appends.map(({ index }) => index),
    Array.from({ length: count }, (_, i) => i),
  );
  for (const [i, { entries, from, to, term, logTerm }] of appends.entries()) {
    assert.deepEqual([from, to, term, logTerm], [idA, idB, 2, 2]);
    assert.deepEqual(entries, append(b, i, i % 50 === 0 ? 100_000 : 100).entries);
  }
  assert.deepEqual(
    b.received.filter(({ type }) => type === MessageType.MsgHeartbeat).map(({ commit }) => commit),
    Array.from({ length: count }, (_, i) => i),
  );
  await a.until(() => a.received.length === 1);
  assert.equal(a.received[0]!.index, 7);
  assert.deepEqual([a.unreachable, b.unreachable], [[], []]);
  const counted = b.network.traffic.of(idA);
  assert.ok(counted.receivedBytes > count * 100);
  assert.match(
    b.network.traffic.render(idB),
    /etcd_network_active_peers\{Local="91bc3c398fb3c146",Remote="8211f1d0f64f3269"\} 1/,
  );
});

test('messages to nobody, to 0 and to a member that was removed are dropped', async () => {
  await using a = await startRecordingMember({ id: idA });
  await using b = await startRecordingMember({ id: idB });
  await connect(a, b);
  a.network.send([Message.create({ to: 0n }), Message.create({ to: 77n })]);
  a.network.removePeer(idB);
  a.network.send([heartbeat(b, 1)]);
  assert.equal(a.network.activeSinceMs(idB), undefined);
  await b.until(() => b.network.activeSinceMs(idA) === undefined);
  assert.deepEqual(b.received, []);
  assert.deepEqual(a.unreachable, []);
});

test('a message before the streams are up goes by a post; with nobody there it is reported', async () => {
  await using b = await startRecordingMember({ id: idB });
  await using a = await startRecordingMember({ id: idA });
  a.network.addPeer(idB, [b.url]);
  a.network.send([heartbeat(b, 5)]);
  assert.deepEqual(a.unreachable, []);
  await b.until(() => b.received.length === 1);
  assert.equal(b.received[0]!.commit, 5);
  a.network.addPeer(9n, ['http://127.0.0.1:1']);
  a.network.send([Message.create({ type: MessageType.MsgVote, from: idA, to: 9n, term: 1 })]);
  await a.until(() => a.unreachable.includes(9n));
  assert.equal(a.network.activeSinceMs(9n), undefined);
});

test('a member that asks before the log tells of it is answered by posts to the address it names', async () => {
  await using a = await startRecordingMember({ id: idA });
  await using b = await startRecordingMember({ id: idB });
  b.network.addPeer(idA, [a.url]);
  await a.until(() => a.logged.some((line) => line.startsWith('failed to find remote peer')));
  a.network.send([heartbeat(b, 3)]);
  await b.until(() => b.received.length === 1);
  // When the log does tell, the streams come up.
  a.network.addPeer(idB, [b.url]);
  await b.until(() => b.network.activeSinceMs(idA) !== undefined);
});

test('a peer that restarts, even at another of its addresses, is found again', async () => {
  await using a = await startRecordingMember({ id: idA });
  const { listener: dead, ...rest } = await startRecordingMember({ id: idB });
  void rest;
  await dead[Symbol.asyncDispose]();
  await using _network = rest.network;
  await using b = await startRecordingMember({ id: idB });
  b.network.addPeer(idA, [a.url]);
  a.network.addPeer(idB, [`http://127.0.0.1:${dead.port}`, b.url]);
  await a.until(() => a.network.activeSinceMs(idB) !== undefined);
  await b.until(() => b.network.activeSinceMs(idA) !== undefined);
  const { port } = b.listener;
  await b[Symbol.asyncDispose]();
  await a.until(() => a.network.activeSinceMs(idB) === undefined && a.unreachable.includes(idB));
  await using again = await startRecordingMember({ id: idB, port });
  again.network.addPeer(idA, [a.url]);
  await a.until(() => a.network.activeSinceMs(idB) !== undefined);
  await again.until(() => again.network.activeSinceMs(idA) !== undefined);
  // Nothing promises that one message arrives while streams come up; raft says it again, too.
  await again.until(() => {
    a.network.send([heartbeat(again, 9)]);
    return again.received.length > 0;
  });
});

test('what a slow peer does not take is dropped and reported, and memory stays bounded', async () => {
  await using a = await startRecordingMember({ id: idA });
  await using b = await startRecordingMember({ id: idB });
  await connect(a, b);
  // Nothing is read in this turn: sockets fill, then the 4096 places.
  a.network.send(Array.from({ length: 20_000 }, (_, i) => append(b, i, 10_000)));
  await a.until(() => a.unreachable.includes(idB));
  await b.until(() => b.received.length > 1000);
  const before = b.received.map(({ index }) => index);
  assert.deepEqual(
    before,
    [...before].sort((x, y) => x - y),
  );
  // And it goes on.
  a.network.send([append(b, 1e6)]);
  await b.until(() => b.received.at(-1)!.index === 1e6);
  assert.equal(b.received.length, 4097);
});

test('what waits for a slow peer is bounded in bytes, too', async () => {
  await using a = await startRecordingMember({ id: idA });
  await using b = await startRecordingMember({ id: idB });
  await connect(a, b);
  // 200 MB, of which 64 may wait; one message alone may weigh more.
  a.network.send(Array.from({ length: 100 }, (_, i) => append(b, i, 2 << 20)));
  await a.until(() => a.unreachable.includes(idB));
  await b.until(() => b.received.length === 32);
  a.network.send([append(b, 1000, 70 << 20)]);
  await b.until(() => b.received.length === 33);
});

test('members of another cluster, of a version from before 3.0, and for somebody else are refused', async () => {
  await using a = await startRecordingMember({ id: idA });
  await using b = await startRecordingMember({ id: idB, clusterId: 5n });
  b.network.addPeer(idA, [a.url]);
  a.network.addPeer(idB, [b.url]);
  await b.until(() => b.logged.some((line) => line.includes('cluster ID mismatch')));
  await a.until(() => a.logged.some((line) => line.startsWith('request cluster ID mismatch: 5 of 91bc3c398fb3c146')));
  // As upstream: an operator is told, the member goes on trying.
  assert.deepEqual([a.refusals, b.refusals], [[], []]);
  assert.equal(a.network.activeSinceMs(idB), undefined);
});

test('a member that was removed is told so, and must stop', async () => {
  await using a = await startRecordingMember({ id: idA, events: { isRemoved: (id) => id === idB } });
  await using b = await startRecordingMember({ id: idB });
  b.network.addPeer(idA, [a.url]);
  await b.until(() => b.refusals.length > 0);
  assert.match(b.refusals[0]!.message, /^the member has been permanently removed from the cluster$/);
});

const snapshotMessage = (to: bigint) =>
  Message.create({
    type: MessageType.MsgSnap,
    from: idA,
    to,
    term: 2,
    snapshot: Snapshot.create({ data: Buffer.from('{}'), metadata: SnapshotMetadata.create({ index: 10, term: 2 }) }),
  });

/** A database of so many pages, which says when it is disposed. */
function database(pageCount: number, failAt = Number.POSITIVE_INFINITY) {
  const page = Buffer.alloc(64 << 10, 'page');
  const state = { disposed: 0, read: 0, hash: createHash('sha256') };
  return {
    state,
    bytes: pageCount * page.length,
    async *pages() {
      for (let i = 0; i < pageCount; i++) {
        if (i === failAt) throw new Error('the disk has failed');
        state.hash.update(page);
        state.read += page.length;
        yield page;
        if (i % 64 === 0) await nextTurn();
      }
    },
    async [Symbol.asyncDispose]() {
      state.disposed++;
    },
  };
}

test('a snapshot of 50 MB arrives whole, no faster than it is taken, and both ends know', async () => {
  await using a = await startRecordingMember({ id: idA });
  const sent = database(800);
  const got = { bytes: 0, said: 0 as number | undefined, underWay: 0, hash: createHash('sha256'), index: 0 };
  await using b = await startRecordingMember({
    id: idB,
    events: {
      async receiveSnapshot(message, pages, bytes) {
        got.said = bytes;
        got.index = message.snapshot!.metadata.index;
        for await (const chunk of pages) {
          got.bytes += chunk.length;
          got.hash.update(chunk);
          got.underWay = Math.max(got.underWay, sent.state.read - got.bytes);
          // A disk that is slower than the network.
          await nextTurn();
        }
      },
    },
  });
  await connect(a, b);
  a.network.sendSnapshot(snapshotMessage(idB), sent);
  await a.until(() => a.snapshots.length === 1);
  assert.deepEqual(a.snapshots, [{ id: idB, ok: true }]);
  assert.equal(got.bytes, sent.bytes);
  assert.equal(got.said, sent.bytes);
  assert.equal(got.index, 10);
  assert.equal(got.hash.digest('hex'), sent.state.hash.digest('hex'));
  assert.equal(sent.state.disposed, 1);
  // The kernel holds up to 10 MB for a connection on loopback; this process a few pages.
  assert.ok(got.underWay < 16 << 20, `${got.underWay} bytes were under way`);
  assert.equal(b.network.traffic.of(idA).snapshotsReceived, 1);
});

test('a snapshot that breaks off, is refused or has nobody to go to is reported, and the database let go', async () => {
  await using a = await startRecordingMember({ id: idA });
  const ends: string[] = [];
  let full = false;
  await using b = await startRecordingMember({
    id: idB,
    events: {
      async receiveSnapshot(_message, pages) {
        if (full) throw new Error('no space left on device');
        try {
          for await (const _ of pages);
          ends.push('whole');
        } catch (error) {
          ends.push('cut off');
          throw error;
        }
      },
    },
  });
  await connect(a, b);
  const failing = database(100, 50);
  a.network.sendSnapshot(snapshotMessage(idB), failing);
  await a.until(() => a.snapshots.length === 1);
  assert.deepEqual(a.snapshots, [{ id: idB, ok: false }]);
  assert.equal(failing.state.disposed, 1);
  await b.until(() => ends.length === 1);
  assert.deepEqual(ends, ['cut off']);

  full = true;
  const refused = database(400);
  a.network.sendSnapshot(snapshotMessage(idB), refused);
  await a.until(() => a.snapshots.length === 2);
  assert.equal(a.snapshots[1]!.ok, false);
  assert.equal(refused.state.disposed, 1);

  const unknown = database(1);
  a.network.sendSnapshot(snapshotMessage(5n), unknown);
  await a.until(() => unknown.state.disposed === 1);

  full = false;
  const other = database(1);
  a.network.sendSnapshot(snapshotMessage(idA), other);
  a.network.sendSnapshot(snapshotMessage(idB), database(3));
  await a.until(() => a.snapshots.length === 3);
  assert.equal(a.snapshots[2]!.ok, true);
});
