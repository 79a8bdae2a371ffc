/** How much goes out, and when it stops: windows, message sizes, what may be uncommitted. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Entry, MessageType } from '#api-etcd/gen/raft.ts';
import { entry, message, TestGroup, type TestMember } from '#testkit/raft/test-group.ts';

/** A leader of two with a follower that replicates and then says nothing more. */
function leaderWith(raft: object): { leader: TestMember; appends: () => number[] } {
  const group = new TestGroup(2, { raft });
  group.campaign(1);
  const leader = group.member(1);
  const appends = () =>
    leader
      .handle()
      .filter(({ type }) => type === MessageType.MsgApp)
      .map(({ entries }) => entries.length);
  return { leader, appends };
}

const x = Buffer.from('x');

describe('the window of messages', () => {
  test('fills, and moves with every answer; an old answer moves nothing', () => {
    const { leader, appends } = leaderWith({ inflightMessagesMax: 3 });
    const { node } = leader;
    for (let i = 0; i < 5; i++) node.propose(x);
    assert.deepEqual(appends(), [1, 1, 1]);
    const answer = (index: number) => node.step(message(MessageType.MsgAppResp, 2, 1, { term: 1, index }));
    answer(1);
    assert.deepEqual(appends(), []);
    answer(2);
    assert.equal(
      appends().reduce((sum, count) => sum + count, 0),
      2,
      'all that waits goes in one message',
    );
    answer(2);
    node.propose(x);
    assert.deepEqual(appends(), []);
    answer(3);
    assert.deepEqual(
      appends().filter((count) => count > 0),
      [1],
    );
    assert.equal(node.raft.tracker.get(2n)!.isPaused, true);
    answer(5);
    assert.equal(node.raft.tracker.get(2n)!.inflights.count, 2);
  });

  test('when it is full, one empty message for each answered heartbeat, to learn what was lost', () => {
    const { leader, appends } = leaderWith({ inflightMessagesMax: 1 });
    const { node } = leader;
    for (let i = 0; i < 3; i++) node.propose(x);
    assert.deepEqual(appends(), [1]);
    for (let i = 0; i < 3; i++) {
      node.step(message(MessageType.MsgHeartbeatResp, 2, 1, { term: 1 }));
      assert.deepEqual(appends(), [0]);
      node.propose(x);
      assert.deepEqual(appends(), []);
    }
  });

  test('has a limit in bytes, which one message may go over', () => {
    const { leader, appends } = leaderWith({ inflightBytesMax: 10, messageBytesMax: 10 });
    for (const size of [6, 6, 6]) leader.node.propose(Buffer.alloc(size));
    assert.deepEqual(appends(), [1, 1]);
  });

  test('an unreachable follower is probed from what it is known to have, one message at a time', () => {
    const { leader, appends } = leaderWith({});
    const { node } = leader;
    for (let i = 0; i < 3; i++) node.propose(x);
    appends();
    node.reportUnreachable(2n);
    assert.equal(node.status().progress.get(2n)?.state, 'StateProbe');
    node.propose(x);
    assert.deepEqual(appends(), [4]);
    node.propose(x);
    assert.deepEqual(appends(), []);
    node.step(message(MessageType.MsgAppResp, 2, 1, { term: 1, index: 5 }));
    assert.equal(node.status().progress.get(2n)?.state, 'StateReplicate');
    assert.deepEqual(
      appends().filter((count) => count > 0),
      [1],
    );
  });
});

test('a message holds entries up to its limit, and one at least', () => {
  const size = Entry.size(entry(1, 5, x));
  for (const [messageBytesMax, expected] of [
    [0, [1, 1, 1, 1, 1]],
    [2 * size, [2, 2, 1]],
    [Infinity, [5]],
  ] as const) {
    const { leader, appends } = leaderWith({ messageBytesMax, inflightMessagesMax: 64, committedBytesMax: Infinity });
    const { node } = leader;
    // While it is probed nothing follows the first message; then everything goes.
    node.reportUnreachable(2n);
    node.raft.tracker.get(2n)!.flowPaused = true;
    for (let i = 0; i < 5; i++) node.propose(x);
    node.step(message(MessageType.MsgAppResp, 2, 1, { term: 1, index: 1 }));
    assert.deepEqual(
      appends().filter((count) => count > 0),
      expected,
    );
  }
});

describe('what may be uncommitted', () => {
  test('has a limit in bytes of data: beyond it proposals are dropped until something is applied', () => {
    const group = new TestGroup(3, { raft: { uncommittedBytesMax: 20 } });
    group.campaign(1);
    group.isolate(1);
    const { node } = group.member(1);
    assert.equal(node.propose(Buffer.alloc(10)), undefined);
    assert.equal(node.proposeBatch([Buffer.alloc(5), Buffer.alloc(5)]), undefined);
    assert.equal(node.propose(Buffer.alloc(1))?.code, 'proposal-dropped');
    assert.equal(node.propose(Buffer.alloc(0)), undefined, 'an entry without data is always taken');
    group.heal();
    group.tick(1, 2);
    assert.equal(node.raft.uncommittedBytes, 0);
    assert.equal(node.propose(Buffer.alloc(1000)), undefined, 'anything is taken when nothing is uncommitted');
    assert.equal(node.propose(Buffer.alloc(1))?.message, 'raft proposal dropped');
  });

  test('drops a batch whole', () => {
    const group = new TestGroup(3, { raft: { uncommittedBytesMax: 20 } });
    group.campaign(1);
    group.isolate(1);
    const { node } = group.member(1);
    node.propose(Buffer.alloc(1));
    const { lastIndex } = node;
    assert.equal(node.proposeBatch([Buffer.alloc(10), Buffer.alloc(10)])?.code, 'proposal-dropped');
    assert.equal(node.lastIndex, lastIndex);
  });
});
