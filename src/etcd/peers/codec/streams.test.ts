/** Both streams of messages: what one end writes the other reads, however the bytes are cut; golden bytes; limits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Entry, EntryType, Message, MessageType, Snapshot } from '#api-etcd/gen/raft.ts';
import { FrameBatch } from './frame-batch.ts';
import { encodeMessage, isLinkHeartbeat, linkHeartbeat, MessageDecoder, PeerStreamError } from './message-stream.ts';
import { MsgAppDecoder, MsgAppEncoder, SharedFrames } from './msgapp-stream.ts';

const local = 0x8211f1d0f64f3269n;
const remote = 0x91bc3c398fb3c146n;

type Decoder = Pick<MessageDecoder, 'push'>;

function readAll(decoder: Decoder, bytes: Buffer, cuts: readonly number[]): Message[] {
  const messages: Message[] = [];
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let start = 0;
  let counted = 0;
  for (const end of [...at, bytes.length]) {
    decoder.push(bytes.subarray(start, end), (message, size) => {
      messages.push(message);
      counted += size;
    });
    start = end;
  }
  assert.equal(counted, bytes.length);
  return messages;
}

const bytesOf = (batch: FrameBatch) => Buffer.concat(batch.take());
/** With what is not set on the wire filled in, so that messages compare. */
const plain = (message: Message) => Message.decode(Message.encode(message));

const index = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 1000 });
const data = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined });
const anyMessage = fc.record({
  type: fc.constantFrom(...Object.values(MessageType).filter((type) => type !== MessageType.MsgSnap)),
  to: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  from: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  term: index,
  logTerm: index,
  index,
  entries: fc.array(
    fc
      .record({ type: fc.constantFrom(...Object.values(EntryType)), term: index, index, data })
      .map((e) => Entry.create(e)),
    { maxLength: 5 },
  ),
  commit: index,
  reject: fc.boolean(),
  rejectHint: index,
  context: data,
});

test('messages of every kind survive the message stream', () => {
  fc.assert(
    fc.property(fc.array(anyMessage, { maxLength: 8 }), fc.array(fc.nat()), (made, cuts) => {
      const messages = made.map((message) => Message.create(message));
      const batch = new FrameBatch();
      for (const message of messages) encodeMessage(message, batch);
      const decoder = new MessageDecoder();
      assert.deepEqual(readAll(decoder, bytesOf(batch), cuts), messages.map(plain));
      assert.ok(decoder.atBoundary);
    }),
  );
});

/** What a leader sends: runs of entries, now and then from somewhere else, in a newer term, or empty. */
const appends = fc
  .array(
    fc.record({
      count: fc.nat(4),
      jump: fc.option(fc.record({ index: fc.integer({ min: 0, max: 2 ** 40 }), newTerm: fc.boolean() })),
      commit: fc.integer({ min: 0, max: 2 ** 40 }),
      heartbeat: fc.boolean(),
      dataBytes: fc.oneof(fc.nat(20), fc.nat(6000)),
    }),
    { maxLength: 12 },
  )
  .map((steps) => {
    const messages: Message[] = [];
    let term = 1;
    let logTerm = 0;
    let last = 0;
    for (const { count, jump, commit, heartbeat, dataBytes } of steps) {
      if (heartbeat) messages.push(linkHeartbeat);
      if (jump !== null) {
        if (jump.newTerm) term++;
        last = jump.index;
        logTerm = jump.newTerm ? term - 1 : term;
      }
      const entries = Array.from({ length: count }, (_, i) =>
        Entry.create({ term, index: last + 1 + i, data: Buffer.alloc(dataBytes, i + 1) }),
      );
      messages.push(
        Message.create({
          type: MessageType.MsgApp,
          from: remote,
          to: local,
          term,
          logTerm,
          index: last,
          entries,
          commit,
        }),
      );
      if (count > 0) logTerm = term;
      last += count;
    }
    return messages;
  });

test('appends survive the msgapp stream, and several peers share large frames', () => {
  fc.assert(
    fc.property(appends, fc.array(fc.nat()), (messages, cuts) => {
      const shared = new SharedFrames();
      const streams = [0, 1].map(() => {
        return { encoder: new MsgAppEncoder(shared), batch: new FrameBatch() };
      });
      for (const message of messages) for (const { encoder, batch } of streams) encoder.encode(message, batch);
      const [first, second] = streams.map(({ batch }) => bytesOf(batch));
      assert.deepEqual(first, second);
      const decoder = new MsgAppDecoder(local, remote);
      assert.deepEqual(readAll(decoder, first!, cuts), messages.map(plain));
      assert.ok(decoder.atBoundary);
    }),
  );
});

test('entries that follow on the last one carry neither term nor index', () => {
  const encoder = new MsgAppEncoder(new SharedFrames());
  const batch = new FrameBatch();
  const append = (at: number, logTerm: number, entries: readonly Entry[], commit: number) =>
    Message.create({ type: MessageType.MsgApp, from: remote, to: local, term: 2, logTerm, index: at, entries, commit });
  const entry = Entry.create({ term: 2, index: 6, data: Buffer.from('x') });
  encoder.encode(append(5, 1, [entry], 5), batch);
  assert.equal(bytesOf(batch)[0], 2);
  encoder.encode(append(6, 2, [Entry.create({ term: 2, index: 7, data: Buffer.from('y') })], 6), batch);
  assert.equal(
    bytesOf(batch).toString('hex'),
    `01${'0000000000000001'}${'0000000000000009'}${'08001002180722'}0179${'0000000000000006'}`,
  );
  encoder.encode(append(7, 2, [], 7), batch);
  assert.equal(bytesOf(batch).toString('hex'), `01${'0000000000000000'}${'0000000000000007'}`);
  encoder.encode(linkHeartbeat, batch);
  assert.equal(bytesOf(batch).toString('hex'), '00');
});

test('a link heartbeat on the message stream is a MsgHeartbeat of nobody', () => {
  const batch = new FrameBatch();
  encodeMessage(linkHeartbeat, batch);
  const [message] = readAll(new MessageDecoder(), bytesOf(batch), []);
  assert.ok(isLinkHeartbeat(message!));
});

test('the empty snapshot that 3.5 sends in every message is left out; that of a MsgSnap is kept', () => {
  const batch = new FrameBatch();
  for (const type of [MessageType.MsgApp, MessageType.MsgSnap])
    encodeMessage(Message.create({ type, snapshot: Snapshot.create() }), batch);
  const [app, snap] = readAll(new MessageDecoder(), bytesOf(batch), []);
  assert.equal(app!.snapshot, undefined);
  assert.notEqual(snap!.snapshot, undefined);
});

test('lengths beyond the limit, too many entries and unknown kinds are refused before memory is taken', () => {
  const none = () => assert.fail();
  const number = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  };
  for (const bytes of [
    [1, number(2n ** 20n + 1n)],
    [1, number(2n ** 64n - 1n)],
    [1, number(1n), number(2n ** 40n)],
    [2, number(2n ** 63n)],
    [1, number(0n), number(2n ** 60n)],
    [3],
    [255],
  ] as const) {
    const [kind, ...rest] = bytes;
    const decoder = new MsgAppDecoder(local, remote);
    assert.throws(() => decoder.push(Buffer.concat([Buffer.from([kind]), ...rest]), none), PeerStreamError);
  }
  assert.throws(() => new MessageDecoder().push(number(2n ** 29n + 1n), none), /error limit exceeded/);
  assert.throws(() => new MessageDecoder(100).push(number(101n), none), /error limit exceeded/);
});

test('random bytes decode or are refused, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, msgApp) => {
      const decoder = msgApp ? new MsgAppDecoder(local, remote) : new MessageDecoder();
      try {
        decoder.push(bytes, () => {});
      } catch (error) {
        assert.match((error as Error).name, /^(PeerStreamError|ProtobufError)$/);
      }
    }),
    { numRuns: 2000 },
  );
});
