/** Handing leadership over (dissertation, 3.10). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfChange, ConfChangeType, MessageType } from '#api-etcd/gen/raft.ts';
import { message, TestGroup } from '#testkit/raft/test-group.ts';

function groupLedByOne(raft = {}): TestGroup {
  const group = new TestGroup(3, { raft });
  group.campaign(1);
  assert.equal(group.leader, 1);
  return group;
}

function transfer(group: TestGroup, at: number, to: number): void {
  group.node(at).transferLeader(BigInt(to));
  group.run();
}

test('to a member that is up to date, asked of the leader or of a follower', () => {
  for (const raft of [{}, { checkQuorum: true, preVote: true }])
    for (const at of [1, 2, 3]) {
      const group = groupLedByOne(raft);
      transfer(group, at, 3);
      assert.deepEqual([group.leader, group.node(1).leader, group.node(1).leadTransferee], [3, 3n, 0n]);
      transfer(group, 3, 1);
      assert.equal(group.leader, 1);
    }
});

test('to a member that lags, after it has caught up; proposals are dropped meanwhile', () => {
  const group = groupLedByOne();
  group.isolate(3);
  group.propose(1, 'a');
  transfer(group, 1, 3);
  assert.equal(group.leader, 1);
  assert.equal(group.node(1).leadTransferee, 3n);
  assert.equal(group.node(1).propose(Buffer.from('b'))?.code, 'proposal-dropped');
  group.heal();
  group.tick(1, 2);
  assert.equal(group.leader, 3);
  assert.deepEqual(group.member(3).appliedTexts, ['a']);
});

test('by snapshot if need be', () => {
  const group = groupLedByOne();
  group.isolate(3);
  group.propose(1, 'a');
  const { storage, node } = group.member(1);
  storage.createSnapshot(node.applied, storage.initialState().confState, undefined);
  storage.compact(node.applied);
  group.heal();
  transfer(group, 1, 3);
  group.tick(1, 3);
  assert.equal(group.leader, 3);
});

test('given up after an election timeout, when a newer term begins, or for another target', () => {
  const group = groupLedByOne();
  group.isolate(3);
  transfer(group, 1, 3);
  group.tick(1, 10);
  assert.deepEqual([group.leader, group.node(1).leadTransferee], [1, 0n]);
  transfer(group, 1, 3);
  transfer(group, 1, 2);
  assert.equal(group.leader, 2);
  group.isolate(1);
  transfer(group, 2, 1);
  group.node(2).step(message(MessageType.MsgHeartbeat, 3, 2, { term: 9 }));
  assert.deepEqual([group.node(2).leadTransferee, group.node(2).leader], [0n, 3n]);
});

test('the same target again does not begin the time anew', () => {
  const group = groupLedByOne();
  group.isolate(3);
  transfer(group, 1, 3);
  group.tick(1, 5);
  transfer(group, 1, 3);
  group.tick(1, 5);
  assert.equal(group.node(1).leadTransferee, 0n);
});

test('not to itself, to a learner, or to a stranger', () => {
  const group = new TestGroup(3, { voters: [1, 2], learners: [3] });
  group.campaign(1);
  for (const target of [1, 3, 9]) {
    transfer(group, 1, target);
    assert.deepEqual([group.leader, group.node(1).leadTransferee], [1, 0n], `${target}`);
  }
});

test('given up when the target is removed or becomes a learner', () => {
  for (const type of [ConfChangeType.ConfChangeRemoveNode, ConfChangeType.ConfChangeAddLearnerNode]) {
    const group = groupLedByOne();
    const { node } = group.member(1);
    group.lost.add(MessageType.MsgTimeoutNow);
    node.proposeConfChange(ConfChange.create({ type, nodeId: 3n }));
    node.transferLeader(3n);
    assert.equal(node.leadTransferee, 3n);
    group.run();
    assert.equal(node.leadTransferee, 0n);
    assert.equal(node.propose(Buffer.from('x')), undefined);
  }
});

test('whoever is told to campaign and may not, does not', () => {
  const group = new TestGroup(3, { voters: [1, 2], learners: [3] });
  group.campaign(1);
  assert.deepEqual(group.member(3).answer(message(MessageType.MsgTimeoutNow, 1, 3, { term: 1 })), []);
  const candidate = group.member(2);
  candidate.node.campaign();
  candidate.node.step(message(MessageType.MsgTimeoutNow, 1, 2, { term: 2 }));
  assert.deepEqual([candidate.node.state, candidate.node.term], ['StateCandidate', 2]);
});
