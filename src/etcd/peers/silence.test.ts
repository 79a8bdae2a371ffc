/** What only time tells: silent peers, peers that take nothing, probes. Sockets are real, the clock is not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { Entry, Message, MessageType } from '#api-etcd/gen/raft.ts';
import { drainTurns } from '#host/event-loop.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { freePorts } from '#testkit/etcd-process.ts';
import { connect, type RecordingMember, startRecordingMember, streamsOf } from './recording-member.suite.ts';

const idA = 10n;
const idB = 11n;

/** Lets time pass in small steps, so that what one end sends can arrive before the other end's time is up. */
async function pass(ms: number, ...clocks: readonly VirtualClock[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250)
    for (const clock of clocks) await clock.advance(250, () => drainTurns(4));
}

async function twoMembers(stack: AsyncDisposableStack, clocks: readonly [VirtualClock, VirtualClock]) {
  const a = stack.use(await startRecordingMember({ id: idA, clock: clocks[0] }));
  const b = stack.use(await startRecordingMember({ id: idB, clock: clocks[1] }));
  await connect(a, b);
  await Promise.all([a, b].map(isActive(a, b)));
  return { a, b };
}

const isActive = (a: RecordingMember, b: RecordingMember) => (member: RecordingMember) =>
  member.until(() => member.network.activeSinceMs(member === a ? b.id : a.id) !== undefined);

test('an idle link is kept alive by heartbeats, and one that falls silent is given up and dialled again', async () => {
  await using stack = new AsyncDisposableStack();
  const clocks = [new VirtualClock(), new VirtualClock()] as const;
  const { a, b } = await twoMembers(stack, clocks);
  await pass(30_000, ...clocks);
  assert.equal(a.network.activeSinceMs(idB), 0);
  assert.deepEqual([streamsOf(a), streamsOf(b)], [2, 2]);
  // The other end's clock stands still: it sends no heartbeats.
  await pass(6000, clocks[0]);
  await a.until(() =>
    a.logged.some((line) => /^peer became inactive.*failed to read b on stream.*i\/o timeout/.test(line)),
  );
  await pass(1000, clocks[0]);
  await b.until(() => streamsOf(b) >= 4);
});

test('the way to a peer and back is measured, and clocks that are apart are complained about', async () => {
  await using stack = new AsyncDisposableStack();
  const clocks = [new VirtualClock(), new VirtualClock()] as const;
  const { a } = await twoMembers(stack, clocks);
  assert.deepEqual(a.network.probe(idB), { healthy: false, roundTripMs: 0, clockDriftMs: 0 });
  const probed = async (...moving: readonly VirtualClock[]) => {
    const before = a.network.probe(idB);
    while (a.network.probe(idB) === before) await pass(250, ...moving);
  };
  await probed(...clocks);
  assert.equal(a.network.probe(idB)!.healthy, true);
  assert.ok(Math.abs(a.network.probe(idB)!.clockDriftMs) < 1000);
  // A clock that runs ahead, and streams that live on by both clocks.
  await clocks[0].advance(3000, () => drainTurns(4));
  for (let i = 0; i < 8; i++) await probed(...clocks);
  assert.ok(a.network.probe(idB)!.clockDriftMs > 2000, `${a.network.probe(idB)!.clockDriftMs} ms`);
  await a.until(() => a.logged.some((line) => line.startsWith('prober found high clock drift: b: ')));
  assert.match(a.network.traffic.render(idA), /etcd_network_peer_round_trip_time_seconds_count\{To="b"\} 1/);
});

test('a peer that does not answer probes is unhealthy', async () => {
  const clock = new VirtualClock();
  await using a = await startRecordingMember({ id: idA, clock });
  a.network.addPeer(idB, ['http://127.0.0.1:1']);
  for (let i = 0; i < 3; i++) {
    await pass(4000, clock);
    await drainTurns(20);
  }
  await a.until(() => a.logged.some((line) => line.startsWith('prober detected unhealthy status: b: ')));
});

test('a peer that reads nothing any more is cut off when its time is up', async () => {
  const clock = new VirtualClock();
  await using a = await startRecordingMember({ id: idA, clock });
  // It asks for the stream of appends, and then never reads.
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  a.network.addPeer(idB, [`http://127.0.0.1:${(server.address() as { port: number }).port}`]);
  const socket: Socket = connectTcp(Number(new URL(a.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    [
      `GET /raft/stream/msgapp/${idB.toString(16)} HTTP/1.1`,
      'host: a',
      'x-server-version: 3.5.0',
      'x-min-cluster-version: 3.0.0',
      'x-etcd-cluster-id: cdf818194e3a8c32',
      `x-raft-to: ${idA.toString(16)}`,
      '\r\n',
    ].join('\r\n'),
  );
  await a.until(() => streamsOf(a) === 1);
  socket.pause();
  const data = Buffer.alloc(1 << 20);
  const append = (index: number) =>
    Message.create({
      type: MessageType.MsgApp,
      from: idA,
      to: idB,
      term: 1,
      index,
      entries: [Entry.create({ term: 1, index: index + 1, data })],
    });
  // More than the kernel takes.
  for (let i = 0; i < 64; i++) a.network.send([append(i)]);
  await drainTurns(20);
  assert.deepEqual(a.unreachable, []);
  await pass(10_000, clock);
  await a.until(() => a.unreachable.includes(idB));
  assert.ok(a.logged.some((line) => line.includes('i/o timeout')));
  socket.destroy();
  server.close();
});

test('a peer that is away is dialled less and less often, and at once when it comes back', async () => {
  const clock = new VirtualClock();
  await using a = await startRecordingMember({ id: idA, clock });
  const [port] = await freePorts(1);
  a.network.addPeer(idB, [`http://127.0.0.1:${port}`]);
  await drainTurns(20);
  for (let i = 0; i < 40; i++) await clock.advance(250, () => drainTurns(4));
  // Both readers wait a whole second by now; the clock stands still from here on.
  await using b = await startRecordingMember({ id: idB, port: port! });
  b.network.addPeer(idA, [a.url]);
  await b.until(() => streamsOf(b) === 2);
  await a.until(() => a.network.activeSinceMs(idB) !== undefined);
});
