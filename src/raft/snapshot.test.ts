/** Snapshots: for a follower whose entries are gone, what happens at either end, and what a transport reports. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfState, MessageType, type Snapshot } from '#api-etcd/gen/raft.ts';
import { message, TestGroup } from '#testkit/raft/test-group.ts';

const members = (voters: bigint[], more: Partial<ConfState> = {}): ConfState => ({
  voters,
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
  ...more,
});

function snapshotAt(index: number, term: number, confState: ConfState): Snapshot {
  return { data: Buffer.from('state'), metadata: { confState, index, term } };
}

/** Member 1 leads, 3 was away, and the entries that 3 lacks are compacted. */
function groupWithLaggard(): TestGroup {
  const group = new TestGroup(3);
  group.campaign(1);
  group.isolate(3);
  for (const text of ['a', 'b', 'c']) group.propose(1, text);
  const { storage, node } = group.member(1);
  storage.createSnapshot(node.applied, members([1n, 2n, 3n]), Buffer.from('state'));
  storage.compact(node.applied);
  group.heal();
  return group;
}

test('a follower that lags behind the log gets a snapshot, and entries again after it', () => {
  const group = groupWithLaggard();
  group.tick(1, 3);
  assert.equal(group.member(3).storage.snapshot().metadata.index, 4);
  assert.equal(group.node(1).status().progress.get(3n)?.state, 'StateReplicate');
  group.propose(1, 'd');
  assert.deepEqual(group.member(3).appliedTexts, ['d']);
  assert.equal(group.node(3).commit, group.node(1).commit);
});

test('none is sent to a follower that has not been heard from', () => {
  const group = groupWithLaggard();
  const { node } = group.member(1);
  const progress = node.raft.tracker.get(3n)!;
  progress.recentActive = false;
  progress.becomeProbe();
  group.propose(1, 'd');
  assert.notEqual(progress.state, 'StateSnapshot');
});

test('while the storage makes one, the leader asks again later', () => {
  const group = groupWithLaggard();
  const { node, storage } = group.member(1);
  const make = storage.snapshot.bind(storage);
  let ready = false;
  storage.snapshot = () => (ready ? make() : (undefined as unknown as Snapshot));
  group.tick(1, 3);
  assert.notEqual(node.raft.tracker.get(3n)!.state, 'StateSnapshot');
  ready = true;
  group.tick(1, 3);
  assert.equal(group.node(3).commit, node.commit);
});

test('a failed one is tried again from where the follower is; an arrived one goes on after it', () => {
  for (const arrived of [false, true]) {
    const group = groupWithLaggard();
    group.lost.add(MessageType.MsgSnap);
    group.tick(1, 3);
    const { node } = group.member(1);
    const progress = node.raft.tracker.get(3n)!;
    assert.equal(progress.state, 'StateSnapshot');
    node.reportSnapshot(3n, arrived);
    assert.deepEqual([progress.state, progress.next, progress.isPaused], ['StateProbe', arrived ? 5 : 2, true]);
    node.reportSnapshot(3n, true);
    assert.equal(progress.next, arrived ? 5 : 2, 'only the first report counts');
    group.heal();
    group.tick(1, 3);
    assert.equal(group.node(3).commit, node.commit);
  }
});

test('restored, it replaces log and members; its leader hears so', () => {
  const member = new TestGroup(2, { voters: [1, 2], logs: { 1: [1, 1] } }).member(1);
  const confState = members([1n, 2n, 3n], { learners: [4n] });
  const snapshot = snapshotAt(11, 3, confState);
  member.node.step(message(MessageType.MsgSnap, 2, 1, { term: 4, snapshot }));
  assert.equal(member.node.raft.promotable, false, 'not before it is on disk');
  const [answer] = member.handle();
  assert.deepEqual([answer?.type, answer?.index, answer?.reject], [MessageType.MsgAppResp, 11, false]);
  const { log, tracker } = member.node.raft;
  assert.deepEqual(
    [log.firstIndex(), log.lastIndex(), log.lastTerm(), log.committed, log.applied],
    [12, 11, 3, 11, 11],
  );
  assert.deepEqual([tracker.configuration.incoming, tracker.configuration.learners], [[1n, 2n, 3n], [4n]]);
  assert.equal(member.node.raft.promotable, true);
});

test('it may make a learner a voter, a voter a learner, or come in the middle of a change', () => {
  for (const [confState, isLearner] of [
    [members([1n, 2n]), false],
    [members([2n], { learners: [1n] }), true],
    [members([2n, 3n], { votersOutgoing: [1n, 2n], learnersNext: [1n] }), false],
  ] as const) {
    const member = new TestGroup(2, { voters: [2], learners: [1] }).member(1);
    assert.equal(member.node.isLearner, true);
    member.answer(message(MessageType.MsgSnap, 2, 1, { term: 1, snapshot: snapshotAt(5, 1, confState) }));
    assert.equal(member.node.isLearner, isLearner);
    assert.equal(member.node.commit, 5);
  }
});

test('it is ignored when it is old, or not for us; where the log has it all, only the commit index moves', () => {
  for (const [snapshot, answered, terms] of [
    [snapshotAt(1, 1, members([1n, 2n])), 1, [1, 1, 1]],
    [snapshotAt(2, 1, members([1n, 2n])), 2, [1, 1, 1]],
    [snapshotAt(9, 2, members([2n, 3n])), 1, [1, 1, 1]],
  ] as const) {
    const options = { logs: { 1: [1, 1, 1] }, hardStates: { 1: { term: 1, commit: 1 } } };
    const member = new TestGroup(2, options).member(1);
    const [answer] = member.answer(message(MessageType.MsgSnap, 2, 1, { term: 2, snapshot }));
    assert.deepEqual([answer?.index, answer?.reject, member.logTerms], [answered, false, terms]);
    assert.equal(member.node.commit, answered);
  }
});

test('a message that has lost its snapshot is harmless', () => {
  const member = new TestGroup(2).member(1);
  const [answer] = member.answer(message(MessageType.MsgSnap, 2, 1, { term: 1 }));
  assert.deepEqual([answer?.type, answer?.index], [MessageType.MsgAppResp, 0]);
});
