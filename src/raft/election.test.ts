/** Elections: timeouts, votes, majorities (Raft, 5.2), the newest log wins (5.4.1), pre-vote (dissertation, 9.6), check-quorum and leases (6.2). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfChange, MessageType } from '#api-etcd/gen/raft.ts';
import { utf8Encode } from '#std/bytes.ts';
import { message, TestGroup } from '#testkit/raft/test-group.ts';

describe('timeouts', () => {
  test('a member begins as a follower, and campaigns when nobody is heard for an election timeout', () => {
    const group = new TestGroup(3);
    const { node } = group.member(2);
    assert.deepEqual([node.state, node.leader, node.term], ['StateFollower', 0n, 0]);
    for (let i = 1; i < node.raft.randomizedElectionTimeout; i++) node.tick();
    assert.equal(node.state, 'StateFollower');
    node.tick();
    assert.deepEqual([node.state, node.term, node.vote], ['StateCandidate', 1, 2n]);
    const requests = group.member(2).handle();
    assert.deepEqual(
      requests.map(({ type, to, term }) => [type, to, term]),
      [1n, 3n].map((to) => [MessageType.MsgVote, to, 1]),
    );
  });

  test('a candidate that wins nothing begins another term', () => {
    const group = new TestGroup(3);
    group.isolate(1);
    group.tick(1, 60);
    assert.equal(group.node(1).state, 'StateCandidate');
    assert.ok(group.node(1).term >= 3 && group.node(1).term <= 6);
  });

  test('they are drawn anew for every term, over the whole range, differently by each member', () => {
    const group = new TestGroup(3);
    group.isolate(1);
    const seen = new Set<number>();
    for (let i = 0; i < 300; i++) {
      group.campaign(1);
      seen.add(group.node(1).raft.randomizedElectionTimeout);
    }
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
    );
    const draws = [1, 2, 3].map((id) => {
      const { raft } = new TestGroup(3).node(id);
      return Array.from({ length: 8 }, () => {
        raft.reset(raft.term);
        return raft.randomizedElectionTimeout;
      }).join();
    });
    assert.equal(new Set(draws).size, 3);
  });

  test('a leader’s heartbeat, append or snapshot begins it again; a refused vote does not', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    const { node } = group.member(2);
    for (const type of [MessageType.MsgHeartbeat, MessageType.MsgApp, MessageType.MsgSnap]) {
      node.tick();
      assert.equal(node.raft.electionElapsed, 1);
      node.step(message(type, 1, 2, { term: 1 }));
      assert.equal(node.raft.electionElapsed, 0);
    }
    node.tick();
    node.step(message(MessageType.MsgVote, 3, 2, { term: 1, index: 1, logTerm: 1 }));
    assert.equal(node.raft.electionElapsed, 1);
  });
});

describe('votes', () => {
  test('a majority of the group makes a leader, a majority of refusals a follower, anything else nothing', () => {
    for (const [size, grants, refusals, state] of [
      [1, 0, 0, 'StateLeader'],
      [2, 1, 0, 'StateLeader'],
      [3, 1, 0, 'StateLeader'],
      [3, 0, 0, 'StateCandidate'],
      [3, 0, 1, 'StateCandidate'],
      [3, 0, 2, 'StateFollower'],
      [4, 1, 0, 'StateCandidate'],
      [4, 2, 0, 'StateLeader'],
      [4, 1, 2, 'StateFollower'],
      [5, 2, 2, 'StateLeader'],
      [5, 1, 3, 'StateFollower'],
      [5, 1, 2, 'StateCandidate'],
    ] as const) {
      const member = new TestGroup(size).member(1);
      member.node.campaign();
      member.handle();
      for (let i = 0; i < grants + refusals; i++)
        member.node.step(message(MessageType.MsgVoteResp, i + 2, 1, { term: 1, reject: i >= grants }));
      assert.equal(member.node.state, state, `${size} members, ${grants} for, ${refusals} against`);
      assert.equal(member.node.term, 1);
    }
  });

  test('one vote a term, first come; the same again to the same one', () => {
    const member = new TestGroup(3).member(1);
    const ask = (from: number) => member.answer(message(MessageType.MsgVote, from, 1, { term: 1 }))[0]?.reject;
    assert.deepEqual([ask(2), ask(3), ask(2)], [false, true, false]);
    assert.equal(member.node.vote, 2n);
    assert.equal(member.storage.initialState().hardState.vote, 2n, 'on disk before it is told');
  });

  test('only for a log that is as new: the later last term, then the longer log', () => {
    for (const [lastTerm, lastIndex, refused] of [
      [1, 9, true],
      [2, 1, true],
      [2, 2, false],
      [2, 3, false],
      [3, 1, false],
    ] as const) {
      const member = new TestGroup(3, { logs: { 1: [1, 2] } }).member(1);
      const [answer] = member.answer(
        message(MessageType.MsgVote, 2, 1, { term: 5, logTerm: lastTerm, index: lastIndex }),
      );
      assert.equal(answer?.reject, refused, `${lastTerm}/${lastIndex}`);
    }
  });

  test('a vote is asked for with the end of the own log', () => {
    const member = new TestGroup(3, { logs: { 1: [1, 1, 4] } }).member(1);
    member.node.campaign();
    const [request] = member.handle();
    assert.deepEqual([request?.term, request?.index, request?.logTerm], [5, 3, 4]);
  });

  test('an answer from another phase or twice from the same voter does not count', () => {
    const member = new TestGroup(5).member(1);
    member.node.campaign();
    member.handle();
    member.node.step(message(MessageType.MsgPreVoteResp, 2, 1, { term: 1 }));
    for (let i = 0; i < 3; i++) member.node.step(message(MessageType.MsgVoteResp, 3, 1, { term: 1 }));
    assert.equal(member.node.state, 'StateCandidate');
  });

  test('a candidate gives way to a leader of its term', () => {
    for (const type of [MessageType.MsgApp, MessageType.MsgHeartbeat, MessageType.MsgSnap]) {
      const member = new TestGroup(3).member(1);
      member.node.campaign();
      member.handle();
      member.node.step(message(type, 3, 1, { term: 1 }));
      assert.deepEqual([member.node.state, member.node.leader, member.node.term], ['StateFollower', 3n, 1]);
    }
  });

  test('two candidates, one of them cut off: the one with the newer log leads in the end', () => {
    const group = new TestGroup(3);
    group.cut(1, 3);
    group.campaign(1);
    group.campaign(3);
    assert.equal(group.leader, 1);
    assert.equal(group.node(3).state, 'StateCandidate');
    group.heal();
    // Its term is newer, so the leader steps down; its log is not, so it is not elected.
    group.campaign(3);
    assert.equal(group.node(1).state, 'StateFollower');
    assert.notEqual(group.leader, 3);
    group.campaign(1);
    assert.equal(group.leader, 1);
    assert.deepEqual(
      group.members.map(({ logTerms }) => logTerms),
      [
        [1, 3],
        [1, 3],
        [1, 3],
      ].map(([a]) => [a!, group.node(1).term]),
    );
  });

  test('who is no voter does not campaign, nor who has a change of membership to apply', () => {
    const group = new TestGroup(3, { voters: [1, 2], learners: [3] });
    group.campaign(3);
    group.tick(3, 100);
    assert.deepEqual([group.node(3).state, group.node(3).term], ['StateFollower', 0]);
    group.campaign(1);
    const follower = group.member(2);
    group.node(1).proposeConfChange(ConfChange.create({ type: 0, nodeId: 3n }));
    for (const each of group.member(1).handle()) if (each.to === 2n) follower.node.step(each);
    for (const each of follower.handle()) group.node(1).step(each);
    for (const each of group.member(1).handle()) if (each.to === 2n) follower.node.step(each);
    assert.ok(follower.node.commit > follower.node.applied);
    follower.node.campaign();
    assert.equal(follower.node.state, 'StateFollower');
    follower.handle();
    follower.node.campaign();
    assert.equal(follower.node.state, 'StateCandidate');
  });

  test('a learner votes: who asks may know before it that it is a voter', () => {
    const member = new TestGroup(3, { voters: [1, 2], learners: [3] }).member(3);
    const [answer] = member.answer(message(MessageType.MsgVote, 1, 3, { term: 1 }));
    assert.equal(answer?.reject, false);
  });
});

describe('pre-vote', () => {
  test('a member that was cut off disturbs nobody when it comes back', () => {
    const group = new TestGroup(3, { raft: { preVote: true } });
    group.campaign(1);
    group.isolate(3);
    group.propose(1, 'a');
    group.tick(3, 100);
    assert.deepEqual([group.node(3).state, group.node(3).term], ['StatePreCandidate', 1]);
    group.heal();
    group.campaign(3);
    group.tick(1, 1);
    assert.equal(group.leader, 1);
    assert.deepEqual(
      group.members.map(({ node }) => node.term),
      [1, 1, 1],
    );
    assert.deepEqual(group.member(3).appliedTexts, ['a']);
  });

  test('a pre-vote binds nobody, and raises no term', () => {
    const member = new TestGroup(3).member(1);
    for (const from of [2, 3]) {
      const [answer] = member.answer(message(MessageType.MsgPreVote, from, 1, { term: 7 }));
      assert.deepEqual([answer?.type, answer?.reject, answer?.term], [MessageType.MsgPreVoteResp, false, 7]);
    }
    assert.deepEqual([member.node.term, member.node.vote], [0, 0n]);
  });

  test('refused by a majority, the candidate goes back to following', () => {
    const group = new TestGroup(3, {
      raft: { preVote: true },
      logs: { 2: [1], 3: [1] },
      hardStates: { 1: { term: 1 } },
    });
    group.campaign(1);
    assert.deepEqual([group.node(1).state, group.node(1).term], ['StateFollower', 1]);
  });

  test('with split votes the group still comes to a leader', () => {
    const group = new TestGroup(3, { raft: { preVote: true } });
    group.campaign(1);
    group.isolate(1);
    // Both pass the pre-vote before either asks for a vote.
    group.node(2).campaign();
    group.node(3).campaign();
    group.run();
    for (let i = 0; i < 60 && group.leader < 2; i++) for (const id of [2, 3]) group.tick(id, 1);
    assert.ok([2, 3].includes(group.leader));
  });
});

describe('check-quorum', () => {
  const raft = { checkQuorum: true };

  test('a leader that hears from no majority for an election timeout steps down', () => {
    const group = new TestGroup(3, { raft });
    group.campaign(1);
    group.tick(1, 30);
    assert.equal(group.leader, 1, 'it is heard');
    group.isolate(1);
    group.tick(1, 20);
    assert.deepEqual([group.node(1).state, group.node(1).leader], ['StateFollower', 0n]);
  });

  test('followers of a live leader vote for nobody else, unless the leader sent the candidate', () => {
    const group = new TestGroup(3, { raft });
    group.campaign(1);
    const follower = group.member(2);
    const ask = { term: 2, index: 1, logTerm: 1 };
    assert.deepEqual(follower.answer(message(MessageType.MsgVote, 3, 2, ask)), []);
    assert.equal(follower.node.term, 1);
    const sent = { ...ask, context: utf8Encode('CampaignTransfer') };
    const [answer] = follower.answer(message(MessageType.MsgVote, 3, 2, sent));
    assert.deepEqual([answer?.reject, follower.node.term], [false, 2]);
  });

  test('once the leader has been silent for an election timeout, they do', () => {
    const group = new TestGroup(3, { raft });
    group.campaign(1);
    group.isolate(1);
    group.node(2).raft.randomizedElectionTimeout = 20;
    for (let i = 0; i < 9; i++) group.node(2).tick();
    group.campaign(3);
    assert.equal(group.node(3).state, 'StateCandidate');
    group.node(2).tick();
    group.campaign(3);
    assert.equal(group.leader, 3);
  });

  test('a member stuck in a newer term is freed: the leader learns of the term and is elected in a newer one', () => {
    const group = new TestGroup(3, { raft });
    group.campaign(1);
    group.isolate(3);
    group.campaign(3);
    group.campaign(3);
    assert.equal(group.node(3).term, 3);
    group.heal();
    group.tick(1, 1);
    assert.deepEqual([group.node(1).state, group.node(1).term], ['StateFollower', 3]);
    for (let i = 0; i < 10; i++) for (const id of [1, 2]) group.node(id).tick();
    group.campaign(1);
    assert.deepEqual([group.leader, group.node(3).leader], [1, 1n]);
  });
});

describe('ForgetLeader', () => {
  test('a follower that has forgotten its leader votes, and remembers when it hears from it', () => {
    const group = new TestGroup(3, { raft: { checkQuorum: true } });
    group.campaign(1);
    group.node(2).forgetLeader();
    assert.equal(group.node(2).leader, 0n);
    group.tick(1, 1);
    assert.equal(group.node(2).leader, 1n);
    group.isolate(1);
    group.node(2).forgetLeader();
    group.campaign(3);
    assert.equal(group.leader, 3, 'long before the lease has ended');
  });
});
