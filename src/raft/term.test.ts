/** Terms (Raft, 5.1): whoever hears of a newer one follows in it; what belongs to an older one has no effect. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageType } from '#api-etcd/gen/raft.ts';
import { message, TestGroup } from '#testkit/raft/test-group.ts';

const roles = ['StateFollower', 'StateCandidate', 'StateLeader'] as const;

/** Three members of which the first is in this role, in term 1. */
function groupWith(role: (typeof roles)[number]): TestGroup {
  const group = new TestGroup(3);
  if (role === 'StateCandidate') group.isolate(1);
  group.campaign(role === 'StateFollower' ? 2 : 1);
  assert.equal(group.node(1).state, role);
  assert.equal(group.node(1).term, 1);
  return group;
}

for (const role of roles) {
  test(`a newer term makes a follower of a member in ${role}; a newer leader is known by its append`, () => {
    for (const [type, leader] of [
      [MessageType.MsgApp, 2n],
      [MessageType.MsgHeartbeat, 2n],
      [MessageType.MsgAppResp, 0n],
      [MessageType.MsgVoteResp, 0n],
    ] as const) {
      const { node } = groupWith(role).member(1);
      node.step(message(type, 2, 1, { term: 3 }));
      assert.deepEqual([node.term, node.state, node.leader], [3, 'StateFollower', leader]);
      assert.equal(node.vote, 0n, 'the vote is free in a new term');
    }
  });

  test(`an older term means nothing to a member in ${role}`, () => {
    const { member } = { member: groupWith(role).member(1) };
    member.answer(message(MessageType.MsgHeartbeat, 3, 1, { term: 4 }));
    const before = member.node.status();
    for (const type of [MessageType.MsgApp, MessageType.MsgHeartbeat, MessageType.MsgVote, MessageType.MsgAppResp])
      assert.deepEqual(member.answer(message(type, 2, 1, { term: 2, index: 9, logTerm: 9, commit: 9 })), []);
    assert.deepEqual(member.node.status(), before);
  });
}

test('with check-quorum or pre-vote, an old leader learns of the newer term, and gives way', () => {
  for (const option of ['checkQuorum', 'preVote'] as const) {
    const group = new TestGroup(3, { raft: { [option]: true }, hardStates: { 1: { term: 5 } } });
    for (const type of [MessageType.MsgApp, MessageType.MsgHeartbeat]) {
      const [answer, ...more] = group.member(1).answer(message(type, 2, 1, { term: 4 }));
      assert.deepEqual([answer?.type, answer?.term, answer?.index, more.length], [MessageType.MsgAppResp, 5, 0, 0]);
    }
  }
});

test('a refused pre-vote carries the voter’s term even to a candidate that is behind', () => {
  const group = new TestGroup(3, { hardStates: { 1: { term: 5 } } });
  const [answer] = group.member(1).answer(message(MessageType.MsgPreVote, 2, 1, { term: 4, index: 9, logTerm: 4 }));
  assert.deepEqual([answer?.type, answer?.term, answer?.reject], [MessageType.MsgPreVoteResp, 5, true]);
});
