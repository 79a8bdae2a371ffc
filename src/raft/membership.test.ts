/** Membership as a group lives through it: joining, leaving, learners, joint configurations, and what a leader makes of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfChange, ConfChangeTransition, ConfChangeType, ConfChangeV2, EntryType } from '#api-etcd/gen/raft.ts';
import { TestGroup } from '#testkit/raft/test-group.ts';
import { isJoint } from './configuration.ts';

const { ConfChangeAddNode, ConfChangeAddLearnerNode, ConfChangeRemoveNode } = ConfChangeType;
const { ConfChangeTransitionJointExplicit, ConfChangeTransitionJointImplicit } = ConfChangeTransition;

function single(type: ConfChangeType, id: number): ConfChange {
  return ConfChange.create({ type, nodeId: BigInt(id) });
}

function several(
  transition: ConfChangeTransition,
  ...changes: readonly (readonly [ConfChangeType, number])[]
): ConfChangeV2 {
  return ConfChangeV2.create({ transition, changes: changes.map(([type, id]) => ({ type, nodeId: BigInt(id) })) });
}

function change(group: TestGroup, what: ConfChange | ConfChangeV2, at = group.leader): void {
  group.node(at).proposeConfChange(what);
  group.run();
}

function configurationAt(group: TestGroup, id: number) {
  return group.node(id).raft.tracker.configuration;
}

test('a group grows from one member to three and gets everything to the new ones', () => {
  const group = new TestGroup(3, { voters: [1] });
  group.campaign(1);
  group.propose(1, 'before');
  for (const id of [2, 3]) change(group, single(ConfChangeAddNode, id));
  group.tick(1, 3);
  assert.deepEqual(configurationAt(group, 3).incoming, [1n, 2n, 3n]);
  assert.deepEqual(group.member(3).appliedTexts, ['before']);
  group.isolate(2);
  group.propose(1, 'after');
  assert.deepEqual(group.member(3).appliedTexts, ['before', 'after'], 'two of three are a majority');
});

test('a member that leaves can be what a commit waited for', () => {
  const group = new TestGroup(3, { voters: [1, 2] });
  group.campaign(1);
  const { node } = group.member(1);
  node.proposeConfChange(single(ConfChangeRemoveNode, 2));
  node.propose(Buffer.from('x'));
  const sent = group
    .member(1)
    .handle()
    .filter(({ to }) => to === 2n);
  // The change is confirmed, the entry after it is not: it is committed all the same when the change is applied.
  const answers = group.member(2).answer(sent[0]!);
  for (const each of answers) node.step(each);
  group.member(1).handle();
  assert.deepEqual(group.member(1).appliedTexts, ['x']);
  assert.deepEqual(configurationAt(group, 1).incoming, [1n]);
});

test('one change at a time: the next is an empty entry until the one before is applied', () => {
  const group = new TestGroup(3);
  group.campaign(1);
  const { node } = group.member(1);
  node.proposeConfChange(single(ConfChangeRemoveNode, 3));
  node.proposeConfChange(single(ConfChangeRemoveNode, 2));
  group.run();
  assert.deepEqual(configurationAt(group, 1).incoming, [1n, 2n]);
  assert.deepEqual(
    group
      .member(1)
      .applied.slice(-2)
      .map(({ type, data }) => [type, data === undefined]),
    [
      [EntryType.EntryConfChange, false],
      [EntryType.EntryNormal, true],
    ],
  );
  change(group, single(ConfChangeRemoveNode, 2));
  assert.deepEqual(configurationAt(group, 1).incoming, [1n]);
});

test('a new leader takes no change before it has applied what its predecessor may have left', () => {
  const group = new TestGroup(3, { logs: { 1: [1], 2: [1], 3: [1] } });
  const { node } = group.member(1);
  node.campaign();
  for (const each of group.member(1).handle())
    for (const back of group.member(Number(each.to)).answer(each)) node.step(back);
  assert.equal(node.state, 'StateLeader');
  node.proposeConfChange(single(ConfChangeRemoveNode, 3));
  group.run();
  assert.equal(configurationAt(group, 1).incoming.length, 3);
});

test('a voided change changes nothing, and the next can follow', () => {
  const group = new TestGroup(3);
  group.campaign(1);
  change(group, single(ConfChangeAddNode, 0));
  assert.deepEqual(configurationAt(group, 2).incoming, [1n, 2n, 3n]);
  change(group, single(ConfChangeRemoveNode, 3));
  assert.deepEqual(configurationAt(group, 2).incoming, [1n, 2n]);
});

describe('learners', () => {
  test('get the log, do not count, and become voters', () => {
    const group = new TestGroup(3, { voters: [1, 2] });
    group.campaign(1);
    change(group, single(ConfChangeAddLearnerNode, 3));
    group.tick(1, 3);
    assert.equal(group.node(3).isLearner, true);
    group.isolate(2);
    group.propose(1, 'x');
    assert.deepEqual(group.member(3).appliedTexts, []);
    group.heal();
    group.tick(1, 2);
    assert.deepEqual(group.member(3).appliedTexts, ['x']);
    change(group, single(ConfChangeAddNode, 3));
    assert.equal(group.node(3).isLearner, false);
    assert.equal(group.node(3).raft.promotable, true);
  });

  test('are not what keeps a leader up with check-quorum', () => {
    const group = new TestGroup(3, { voters: [1, 2], learners: [3], raft: { checkQuorum: true } });
    group.campaign(1);
    group.isolate(2);
    group.tick(1, 20);
    assert.equal(group.node(1).state, 'StateFollower');
  });
});

describe('joint configurations', () => {
  test('are left by themselves', () => {
    const group = new TestGroup(4, { voters: [1, 2, 3] });
    group.campaign(1);
    change(group, several(0, [ConfChangeRemoveNode, 3], [ConfChangeAddNode, 4]));
    group.tick(1, 3);
    for (const id of [1, 2, 4]) {
      assert.equal(isJoint(configurationAt(group, id)), false);
      assert.deepEqual(configurationAt(group, id).incoming, [1n, 2n, 4n]);
    }
  });

  test('need both majorities, and are left when told, if that was asked for', () => {
    const group = new TestGroup(6, { voters: [1, 2, 3] });
    group.campaign(1);
    const out = [2, 3].map((id) => [ConfChangeRemoveNode, id] as const);
    const into = [4, 5].map((id) => [ConfChangeAddNode, id] as const);
    change(group, several(ConfChangeTransitionJointExplicit, ...out, ...into));
    group.tick(1, 3);
    assert.deepEqual(configurationAt(group, 1), {
      incoming: [1n, 4n, 5n],
      outgoing: [1n, 2n, 3n],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    });
    group.isolate(4);
    group.isolate(5);
    group.propose(1, 'no majority of the incoming');
    assert.deepEqual(group.member(2).appliedTexts, []);
    group.heal();
    group.tick(1, 3);
    group.isolate(2);
    group.isolate(3);
    group.propose(1, 'no majority of the outgoing');
    assert.equal(group.member(4).appliedTexts.length, 1);
    group.heal();
    group.tick(1, 3);
    change(group, single(ConfChangeAddNode, 6));
    assert.equal(isJoint(configurationAt(group, 1)), true, 'nothing else goes in between');
    change(group, several(0));
    assert.deepEqual(configurationAt(group, 1).incoming, [1n, 4n, 5n]);
    change(group, several(0));
    assert.deepEqual(group.member(1).applied.at(-1)?.data, undefined, 'there is nothing to leave any more');
  });

  test('a new leader leaves what its predecessor could not', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    group.node(1).proposeConfChange(several(ConfChangeTransitionJointImplicit, [ConfChangeRemoveNode, 1]));
    // 1 hands over as soon as the change is applied, so that it drops its own proposal to leave.
    group.node(1).transferLeader(2n);
    group.run();
    group.campaign(2);
    group.tick(2, 3);
    assert.equal(group.leader, 2);
    assert.deepEqual(configurationAt(group, 3), {
      incoming: [2n, 3n],
      outgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    });
  });

  test('a voter becomes a learner when it is left', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    change(group, several(ConfChangeTransitionJointExplicit, [ConfChangeAddLearnerNode, 3]));
    assert.deepEqual(configurationAt(group, 3).learnersNext, [3n]);
    assert.equal(group.node(3).isLearner, false);
    change(group, several(0));
    assert.deepEqual(configurationAt(group, 3).learners, [3n]);
    assert.equal(group.node(3).isLearner, true);
  });
});

describe('a leader that is removed', () => {
  test('leads on until another does, without counting itself', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    change(group, single(ConfChangeRemoveNode, 1));
    assert.equal(group.node(1).state, 'StateLeader');
    assert.equal(group.node(1).propose(Buffer.from('x'))?.code, 'proposal-dropped');
  });

  test('steps down at once if it is to, demoted as well', () => {
    for (const type of [ConfChangeRemoveNode, ConfChangeAddLearnerNode]) {
      const group = new TestGroup(3, { raft: { stepDownOnRemoval: true } });
      group.campaign(1);
      change(group, several(0, [type, 1]));
      assert.equal(group.node(1).state, 'StateFollower');
      group.tick(1, 100);
      assert.equal(group.node(1).state, 'StateFollower', 'and does not campaign');
      group.campaign(2);
      assert.equal(group.leader, 2);
    }
  });
});

test('the last voter cannot be removed', () => {
  const group = new TestGroup(1);
  group.campaign(1);
  group.node(1).proposeConfChange(single(ConfChangeRemoveNode, 1));
  assert.throws(() => group.run(), /removed all voters/);
});
