/** Replication and commitment (Raft, 5.3 and 5.4.2): leaders append and send, followers check and take over, majorities commit. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MessageType } from '#api-etcd/gen/raft.ts';
import { entry, message, TestGroup } from '#testkit/raft/test-group.ts';

describe('a leader', () => {
  test('begins its term with an empty entry, which it sends to all', () => {
    const group = new TestGroup(3, { logs: { 1: [1], 2: [1], 3: [1] } });
    const member = group.member(1);
    member.node.campaign();
    member.handle();
    const sent = member.answer(message(MessageType.MsgVoteResp, 2, 1, { term: 2 }));
    assert.deepEqual(
      sent.map(({ type, to, index, logTerm, entries }) => [
        type,
        to,
        index,
        logTerm,
        entries[0]?.term,
        entries[0]?.data,
      ]),
      [2n, 3n].map((to) => [MessageType.MsgApp, to, 1, 1, 2, undefined]),
    );
  });

  test('appends a proposal and sends it on; it is committed when a majority has it, and then applied everywhere', () => {
    for (const [size, confirming, committed] of [
      [1, 0, true],
      [3, 0, false],
      [3, 1, true],
      [5, 1, false],
      [5, 2, true],
    ] as const) {
      const group = new TestGroup(size);
      group.campaign(1);
      for (let id = confirming + 2; id <= size; id++) group.isolate(id);
      group.propose(1, 'x');
      assert.equal(group.member(1).appliedTexts.includes('x'), committed, `${confirming} of ${size}`);
      group.heal();
      group.tick(1, 2);
      for (const member of group.members) assert.deepEqual(member.appliedTexts, ['x']);
    }
  });

  test('commits with the first entry of its term whatever was there before, and nothing before that', () => {
    const terms = [1, 2];
    const group = new TestGroup(3, { logs: { 1: terms, 2: terms, 3: terms } });
    const { node } = group.member(1);
    group.lost.add(MessageType.MsgApp);
    group.campaign(1);
    // Both followers say that they have the old entries. That is a majority, of an older term.
    for (const from of [2, 3]) node.step(message(MessageType.MsgAppResp, from, 1, { term: 3, index: 2 }));
    assert.equal(node.commit, 0);
    group.heal();
    group.tick(1, 1);
    assert.equal(node.commit, 3);
    assert.deepEqual(group.member(3).appliedTexts, ['1/1', '2/2']);
  });

  test('sends heartbeats, with no more of the commit index than the follower is known to have', () => {
    const group = new TestGroup(3);
    group.campaign(1);
    group.isolate(3);
    group.propose(1, 'x');
    group.node(1).tick();
    const beats = group.member(1).handle();
    assert.deepEqual(
      beats.map(({ type, to, commit }) => [type, to, commit]),
      [
        [MessageType.MsgHeartbeat, 2n, 2],
        [MessageType.MsgHeartbeat, 3n, 1],
      ],
    );
  });

  test('brings every log into agreement with its own (Raft, figure 7)', () => {
    const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    for (const follower of [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ]) {
      const group = new TestGroup(3, {
        logs: { 1: leader, 2: follower, 3: [] },
        hardStates: { 1: { term: 7, commit: 10 } },
      });
      group.campaign(1);
      assert.equal(group.leader, 1);
      group.propose(1, 'x');
      assert.deepEqual(group.member(2).logTerms, [...leader, 8, 8], follower.join());
    }
  });

  test('finds where logs part with one probe a term at most', () => {
    for (const [leader, follower] of [
      [
        [1, 3, 3, 3, 5, 5, 5, 5, 5],
        [1, 1, 1, 1, 2, 2],
      ],
      [
        [1, 3, 3, 3, 3, 3, 3, 3, 7],
        [1, 3, 3, 4, 4, 5, 5, 5, 6],
      ],
      [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 2, 2, 2, 2, 3, 3],
      ],
    ] as const) {
      const last = Math.max(...leader, ...follower);
      const group = new TestGroup(2, {
        voters: [1, 2, 3],
        logs: { 1: leader, 2: follower },
        hardStates: { 1: { term: last } },
      });
      const { node } = group.member(1);
      node.campaign();
      group.member(1).handle();
      node.step(message(MessageType.MsgVoteResp, 3, 1, { term: last + 1 }));
      let refusals = 0;
      for (let sent = group.member(1).handle(); ; ) {
        const probe = sent.filter(({ type, to }) => type === MessageType.MsgApp && to === 2n);
        const answers = probe.flatMap((each) => group.member(2).answer(each));
        if (answers.every(({ reject }) => !reject)) break;
        refusals++;
        sent = answers.flatMap((answer) => group.member(1).answer(answer));
      }
      assert.ok(refusals <= 2, `${refusals} refusals`);
      assert.deepEqual(group.member(2).logTerms, [...leader, last + 1]);
    }
  });

  test('drops what is proposed when it is no member any more', () => {
    const group = new TestGroup(2);
    group.campaign(1);
    group.node(1).proposeConfChange({ id: 0n, type: 1, nodeId: 1n, context: undefined });
    group.run();
    assert.equal(group.node(1).propose(Buffer.from('x'))?.code, 'proposal-dropped');
  });
});

describe('a follower', () => {
  const at = (fields: object) => message(MessageType.MsgApp, 2, 1, { term: 3, ...fields });

  test('takes entries that follow one that it has, and refuses all others with a hint', () => {
    for (const [previousTerm, previousIndex, refused, hint] of [
      [0, 0, false, 0],
      [1, 1, false, 0],
      [2, 2, false, 0],
      [1, 2, true, 1],
      [3, 3, true, 2],
    ] as const) {
      const member = new TestGroup(3, { logs: { 1: [1, 2] }, hardStates: { 1: { term: 3 } } }).member(1);
      const [answer] = member.answer(at({ index: previousIndex, logTerm: previousTerm }));
      assert.equal(answer?.reject, refused, `${previousTerm}/${previousIndex}`);
      if (refused) assert.deepEqual([answer?.index, answer?.rejectHint], [previousIndex, hint]);
      else assert.equal(answer?.index, previousIndex);
    }
  });

  test('cuts its log where it differs, and only there', () => {
    for (const [previous, entries, expected] of [
      [{ index: 2, logTerm: 2 }, [entry(3, 3)], [1, 2, 3]],
      [{ index: 1, logTerm: 1 }, [entry(3, 2), entry(4, 3)], [1, 3, 4]],
      [{ index: 0, logTerm: 0 }, [entry(1, 1)], [1, 2]],
      [{ index: 0, logTerm: 0 }, [entry(3, 1)], [3]],
      [{ index: 0, logTerm: 0 }, [], [1, 2]],
    ] as const) {
      const member = new TestGroup(3, { logs: { 1: [1, 2] }, hardStates: { 1: { term: 4 } } }).member(1);
      member.answer(message(MessageType.MsgApp, 2, 1, { term: 4, ...previous, entries }));
      assert.deepEqual(member.logTerms, expected);
      assert.equal(member.storage.lastIndex(), expected.length, 'on disk as well');
    }
  });

  test('commits what the leader has committed, as far as this message shows that it has it', () => {
    for (const [entries, leaderCommit, expected] of [
      [[], 3, 1],
      [[entry(3, 2)], 1, 1],
      [[entry(3, 2)], 2, 2],
      [[entry(3, 2)], 9, 2],
    ] as const) {
      const member = new TestGroup(3, { logs: { 1: [1, 2, 2] }, hardStates: { 1: { term: 3 } } }).member(1);
      member.answer(at({ index: 1, logTerm: 1, entries, commit: leaderCommit }));
      assert.equal(member.node.commit, expected);
    }
    const member = new TestGroup(3, { logs: { 1: [1, 2, 2] }, hardStates: { 1: { term: 3, commit: 1 } } }).member(1);
    member.answer(message(MessageType.MsgHeartbeat, 2, 1, { term: 3, commit: 3 }));
    assert.equal(member.node.commit, 3);
    member.answer(message(MessageType.MsgHeartbeat, 2, 1, { term: 3, commit: 2 }));
    assert.equal(member.node.commit, 3, 'it never goes back');
  });

  test('says how far it is committed to a leader that probes before that', () => {
    const member = new TestGroup(3, { logs: { 1: [1, 1, 1] }, hardStates: { 1: { term: 3, commit: 3 } } }).member(1);
    const [answer] = member.answer(at({ index: 1, logTerm: 1, entries: [entry(2, 2)] }));
    assert.deepEqual([answer?.reject, answer?.index], [false, 3]);
    assert.deepEqual(member.logTerms, [1, 1, 1]);
  });

  test('stops rather than overwrite what is committed, or commit what it does not have', () => {
    const make = () => new TestGroup(3, { logs: { 1: [1, 1] }, hardStates: { 1: { term: 3, commit: 2 } } }).member(1);
    assert.throws(
      () => make().answer(message(MessageType.MsgHeartbeat, 2, 1, { term: 3, commit: 9 })),
      /tocommit\(9\) is out of range \[lastIndex\(2\)\]. Was the raft log corrupted, truncated, or lost\?/,
    );
  });

  test('sends proposals to its leader', () => {
    const group = new TestGroup(3);
    assert.equal(group.node(2).propose(Buffer.from('x'))?.message, 'raft proposal dropped');
    group.campaign(1);
    group.propose(2, 'y');
    for (const member of group.members) assert.deepEqual(member.appliedTexts, ['y']);
  });
});

test('messages of an old leader, late, change nothing', () => {
  const group = new TestGroup(3);
  group.campaign(1);
  group.campaign(2);
  group.campaign(1);
  group.member(1).answer(message(MessageType.MsgApp, 2, 1, { term: 2, entries: [entry(2, 3)] }));
  group.propose(1, 'x');
  for (const member of group.members) assert.deepEqual([member.logTerms, member.appliedTexts], [[1, 2, 3, 3], ['x']]);
});
