/** ReadIndex (dissertation, 6.4): reads as new as any write, confirmed by a majority or by the lease. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MessageType } from '#api-etcd/gen/raft.ts';
import { message, TestGroup } from '#testkit/raft/test-group.ts';
import { readsMax } from './options.ts';

function read(group: TestGroup, id: number, context: string): number | undefined {
  const { node, readStates } = group.member(id);
  node.readIndex(Buffer.from(context));
  group.run();
  return readStates.find((state) => Buffer.from(state.context!).toString() === context)?.index;
}

describe('safe reads', () => {
  test('are answered on whatever member they are asked, with the leader’s commit index', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    for (const id of [1, 2, 3]) {
      group.propose(1, `${id}`);
      assert.equal(read(group, id, `read ${id}`), group.node(1).commit);
    }
  });

  test('a leader that was deposed without knowing it answers none', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    group.isolate(1);
    group.campaign(2);
    group.propose(2, 'x');
    assert.equal(group.node(1).state, 'StateLeader');
    assert.equal(read(group, 1, 'stale'), undefined);
    group.heal();
    group.tick(2, 1);
    assert.equal(group.node(1).state, 'StateFollower');
    assert.equal(read(group, 1, 'fresh'), group.node(2).commit);
    assert.equal(group.member(1).readStates.length, 1, 'the old one stays unanswered');
  });

  test('a new leader waits for its first commit', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    group.propose(1, 'x');
    group.lost.add(MessageType.MsgApp);
    group.campaign(2);
    assert.equal(read(group, 2, 'early'), undefined);
    group.heal();
    group.tick(2, 1);
    const [state] = group.member(2).readStates;
    assert.equal(state?.index, group.node(2).commit);
  });

  test('alone in its group a leader has nobody to ask', () => {
    const group = new TestGroup(2, { voters: [1], learners: [2] });
    group.campaign(1);
    assert.equal(read(group, 1, 'alone'), 1);
    assert.equal(read(group, 2, 'learner'), 1);
  });

  test('answers that say nothing of ours are ignored: too short, too high, of a stranger', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    const { node } = group.member(1);
    node.readIndex(Buffer.from('x'));
    for (const context of [Buffer.alloc(3), Buffer.alloc(8, 0xff), Buffer.alloc(0)])
      node.step(message(MessageType.MsgHeartbeatResp, 2, 1, { term: 1, context }));
    assert.equal(node.step(message(MessageType.MsgHeartbeatResp, 9, 1, { term: 1 }))?.code, 'step-peer-not-found');
    group.member(1).handle();
    assert.equal(group.member(1).readStates.length, 0);
  });

  test('no more than a limit wait; those beyond it are dropped', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    group.lost.add(MessageType.MsgApp);
    group.campaign(2);
    const { node } = group.member(2);
    for (let i = 0; i < readsMax + 10; i++) node.readIndex(Buffer.from(`${i}`));
    assert.equal(node.raft.pendingReads.length, readsMax);
  });
});

describe('lease-based reads', () => {
  const raft = { checkQuorum: true, readOnly: 'lease-based' } as const;

  test('ask nobody', () => {
    const group = new TestGroup(3, { raft });
    group.campaign(1);
    group.lost.add(MessageType.MsgHeartbeat);
    for (const id of [1, 2, 3]) assert.equal(read(group, id, `${id}`), 1);
  });

  test('need check-quorum', () => {
    assert.throws(
      () => new TestGroup(1, { raft: { readOnly: 'lease-based' } }),
      /CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased/,
    );
  });
});
