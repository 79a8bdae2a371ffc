/** RawNode: what it takes and refuses, what it hands out and when, founding and restarting. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfChange, EntryType, HardState, MessageType } from '#api-etcd/gen/raft.ts';
import { seededPrng } from '#std/prng.ts';
import { entry, message, TestGroup } from '#testkit/raft/test-group.ts';
import { MemoryStorage } from './memory-storage.ts';
import { appendThread, applyThread, isLocalMessage, isResponse } from './message.ts';
import type { RaftOptions } from './options.ts';
import { RawNode } from './raw-node.ts';

const options = (more: Partial<RaftOptions> = {}): RaftOptions => ({
  id: 1n,
  electionTicks: 10,
  heartbeatTicks: 1,
  storage: new MemoryStorage(),
  prng: seededPrng(1),
  messageBytesMax: Infinity,
  inflightMessagesMax: 256,
  ...more,
});

describe('messages from outside', () => {
  test('that only the member itself may send are refused', () => {
    const { node } = new TestGroup(3).member(1);
    for (const type of Object.values(MessageType))
      if (isLocalMessage(type))
        assert.equal(node.step(message(type, 2, 1))?.message, 'raft: cannot step raft local message', `${type}`);
    assert.deepEqual(Object.values(MessageType).filter(isLocalMessage), [0, 1, 10, 11, 12, 19, 20, 21, 22]);
  });

  test('that answer something count from members only', () => {
    const { node } = new TestGroup(3).member(1);
    for (const type of Object.values(MessageType))
      if (isResponse(type) && !isLocalMessage(type))
        assert.equal(node.step(message(type, 9, 1))?.message, 'raft: cannot step as peer not found', `${type}`);
    assert.deepEqual(Object.values(MessageType).filter(isResponse), [4, 6, 9, 10, 16, 18, 20, 22]);
  });
});

describe('Ready', () => {
  test('says only what is new, and nothing when nothing is', () => {
    const { node, storage } = new TestGroup(1).member(1);
    assert.equal(node.hasReady(), false);
    node.campaign();
    const first = node.ready();
    assert.deepEqual(first.softState, { leader: 0n, state: 'StateCandidate' });
    assert.deepEqual(first.hardState, HardState.create({ term: 1, vote: 1n }));
    assert.equal(first.mustSync, true);
    storage.setHardState(first.hardState!);
    node.advance();
    const second = node.ready();
    assert.deepEqual([second.softState?.state, second.hardState, second.entries.length], ['StateLeader', undefined, 1]);
    storage.append(second.entries);
    node.advance();
    const third = node.ready();
    assert.deepEqual([third.softState, third.hardState?.commit, third.entries.length], [undefined, 1, 0]);
    assert.deepEqual(
      [third.committedEntries.length, third.mustSync],
      [1, false],
      'a commit index alone need not be synced',
    );
    node.advance();
    assert.equal(node.hasReady(), false);
  });

  test('alone in its group a member commits only what is on disk', () => {
    const { node, storage } = new TestGroup(1).member(1);
    for (node.campaign(); node.hasReady(); node.advance()) storage.append(node.ready().entries);
    node.propose(Buffer.from('x'));
    const ready = node.ready();
    assert.deepEqual([ready.entries.length, ready.committedEntries.length], [1, 0]);
    assert.equal(node.commit, 1);
    node.advance();
    assert.equal(node.commit, 2);
  });

  test('pages what is to be applied', () => {
    const storage = new MemoryStorage();
    const confState = { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    storage.applySnapshot({ data: undefined, metadata: { confState, index: 0, term: 0 } });
    storage.append(Array.from({ length: 10 }, (_, i) => entry(1, i + 1, Buffer.alloc(100))));
    storage.setHardState({ term: 1, vote: 1n, commit: 10 });
    const node = new RawNode(options({ storage, committedBytesMax: 350 }));
    const pages: number[] = [];
    while (node.hasReady()) {
      pages.push(node.ready().committedEntries.length);
      node.advance();
    }
    assert.deepEqual(pages, [3, 3, 3, 1]);
    assert.equal(node.applied, 10);
  });

  test('has to be advanced, or not', () => {
    const { node } = new TestGroup(1).member(1);
    node.campaign();
    node.ready();
    assert.throws(() => node.ready(), /two accepted Ready structs without call to Advance/);
    const asynchronous = new RawNode(options({ asyncStorageWrites: true }));
    assert.throws(() => asynchronous.advance(), /Advance must not be called when using AsyncStorageWrites/);
  });
});

test('asynchronous writes: many under way, acknowledged in order, sent on only when they are done', () => {
  const { node } = new TestGroup(1, { raft: { asyncStorageWrites: true } }).member(1);
  const storage = node.raft.settings.storage as MemoryStorage;
  const finish = (of: bigint, messages: readonly ReturnType<RawNode['ready']>['messages'][number][]) => {
    for (const each of messages)
      if (each.to === of) {
        if (of === appendThread) storage.append(each.entries);
        for (const response of each.responses) node.step(response);
      }
  };
  node.campaign();
  for (let i = 0; i < 4 && node.hasReady(); i++) {
    const { messages } = node.ready();
    finish(appendThread, messages);
    finish(applyThread, messages);
  }
  assert.deepEqual([node.state, node.applied], ['StateLeader', 1]);
  node.propose(Buffer.from('a'));
  const first = node.ready();
  node.propose(Buffer.from('b'));
  const second = node.ready();
  assert.equal(node.commit, 1);
  finish(appendThread, first.messages);
  assert.equal(node.commit, 2);
  const third = node.ready();
  assert.deepEqual(
    third.messages.find(({ to }) => to === applyThread)?.entries.map(({ index }) => index),
    [2],
  );
  finish(appendThread, second.messages);
  assert.deepEqual([node.commit, node.applied], [3, 1]);
  finish(applyThread, third.messages);
  assert.equal(node.applied, 2);
});

describe('beginning', () => {
  test('founders begin with the same log and need no one to tell them who they are', () => {
    const founders = [1n, 2n, 3n].map((id) => ({ id, context: Buffer.from(`peer ${id}`) }));
    const nodes = founders.map(({ id }) => {
      const node = new RawNode(options({ id, storage: new MemoryStorage() }));
      node.bootstrap(founders);
      return node;
    });
    for (const node of nodes) {
      const { entries, hardState, committedEntries } = node.ready();
      assert.deepEqual([hardState, entries.length, committedEntries.length], [{ term: 1, vote: 0n, commit: 3 }, 3, 3]);
      const change = ConfChange.decode(entries[1]!.data!);
      assert.deepEqual(
        [entries[1]!.type, change.nodeId, Buffer.from(change.context!).toString()],
        [EntryType.EntryConfChange, 2n, 'peer 2'],
      );
      assert.deepEqual(node.applyConfChange(change).voters, [1n, 2n, 3n]);
      node.campaign();
      assert.equal(node.state, 'StateFollower', 'there are changes to apply');
      node.advance();
      node.campaign();
      assert.equal(node.state, 'StateCandidate');
    }
    assert.throws(() => nodes[0]!.bootstrap([]), /must provide at least one peer to Bootstrap/);
  });

  test('a member that restarts goes on from its disk, and applies what it has not applied', () => {
    const storage = new MemoryStorage();
    const confState = { voters: [1n, 2n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    storage.applySnapshot({ data: undefined, metadata: { confState, index: 2, term: 1 } });
    storage.append([3, 4, 5].map((index) => entry(1, index)));
    storage.setHardState({ term: 3, vote: 2n, commit: 4 });
    const node = new RawNode(options({ storage, applied: 3 }));
    assert.deepEqual([node.term, node.vote, node.commit, node.applied, node.lastIndex], [3, 2n, 4, 3, 5]);
    const { hardState, softState, entries, committedEntries } = node.ready();
    assert.deepEqual([hardState, softState, entries], [undefined, undefined, []]);
    assert.deepEqual(
      committedEntries.map(({ index }) => index),
      [4],
    );
    assert.throws(() => new RawNode(options({ storage, applied: 5 })), /applied\(5\) is out of range/);
    storage.setHardState({ term: 3, vote: 2n, commit: 9 });
    assert.throws(() => new RawNode(options({ storage })), /1 state.commit 9 is out of range \[2, 5\]/);
  });

  test('with options that make no sense it does not', () => {
    for (const [more, text] of [
      [{ id: 0n }, 'cannot use none as id'],
      [{ id: appendThread }, 'cannot use local target as id'],
      [{ heartbeatTicks: 0 }, 'heartbeat tick must be greater than 0'],
      [{ electionTicks: 1 }, 'election tick must be greater than heartbeat tick'],
      [{ inflightMessagesMax: 0 }, 'max inflight messages must be greater than 0'],
      [{ messageBytesMax: 10, inflightBytesMax: 9 }, 'max inflight bytes must be >= max message size'],
    ] as const)
      assert.throws(() => new RawNode(options(more)), { message: text });
  });
});

test('status: the parts that a server asks for all the time, and all of it', () => {
  const group = new TestGroup(3, { voters: [1, 2], learners: [3] });
  group.campaign(1);
  group.propose(1, 'x');
  const { node } = group.member(1);
  const { progress, configuration, ...rest } = node.status();
  assert.deepEqual(rest, {
    id: 1n,
    term: 1,
    vote: 1n,
    commit: 2,
    applied: 2,
    lastIndex: 2,
    leader: 1n,
    state: 'StateLeader',
    leadTransferee: 0n,
  });
  const { id, term, vote, commit, applied, lastIndex, leader, state, leadTransferee } = node;
  assert.deepEqual({ id, term, vote, commit, applied, lastIndex, leader, state, leadTransferee }, rest);
  assert.deepEqual(
    [...progress].map(([each, { match, isLearner }]) => [each, match, isLearner]),
    [
      [1n, 2, false],
      [2n, 2, false],
      [3n, 2, true],
    ],
  );
  assert.deepEqual(configuration.incoming, [1n, 2n]);
  assert.equal(group.node(2).status().progress.size, 0);
});

test('a batch is appended in order, in one message to each follower', () => {
  const group = new TestGroup(2);
  group.campaign(1);
  const { node } = group.member(1);
  assert.equal(node.proposeBatch(['a', 'b', 'c'].map((text) => Buffer.from(text))), undefined);
  const appends = group
    .member(1)
    .handle()
    .filter(({ type }) => type === MessageType.MsgApp);
  assert.deepEqual(
    appends.map(({ entries }) => entries.map(({ data }) => Buffer.from(data!).toString())),
    [['a', 'b', 'c']],
  );
});
