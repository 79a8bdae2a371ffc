/** Who belongs to the cluster and answers, how many it could lose, learners, and what clients are told to connect to. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  answered,
  healthyFacts,
  idOf,
  urlOf,
  withEndpoint,
  withSilent,
  withStatus,
} from '#testkit/etcd-doctor-facts.ts';
import type { Facts, MemberFacts } from '../facts.ts';
import { clientUrls, learners, members, quorum } from './membership.ts';

function withMember(facts: Facts, index: number, change: Partial<MemberFacts>): Facts {
  if (facts.members.kind !== 'answered') throw new Error('no members');
  const list = facts.members.value.map((each, i) => (i === index ? { ...each, ...change } : each));
  return { ...facts, members: answered(list) };
}

test('all well', () => {
  const facts = healthyFacts();
  assert.equal(members(facts).seen, '3 of 3 members answer');
  assert.equal(quorum(facts).seen, '3 of 3 voters answer, 2 needed: 1 may be lost');
  assert.equal(learners(facts).seen, 'no learner');
  assert.equal(clientUrls(facts).seen, '3 addresses advertised');
  for (const check of [members, quorum, learners, clientUrls]) assert.equal(check(facts).result, 'OK');
});

test('a cluster of one has nothing to lose, and that is how it was made', () => {
  assert.deepEqual(quorum(healthyFacts(1)).seen, '1 of 1 voter answers, 1 needed: 0 may be lost');
  assert.equal(quorum(healthyFacts(1)).result, 'OK');
  assert.equal(members(healthyFacts(1)).seen, '1 of 1 member answers');
});

test('one of three is dead: named, with how to look and how to remove it; none may be lost now', () => {
  const facts = withSilent(healthyFacts(), 1);
  const { result, seen, next } = members(facts);
  assert.equal(result, 'FAIL');
  assert.equal(seen, `m2 does not answer at ${urlOf(1)}: connection refused`);
  assert.deepEqual(next, [
    { command: `wherry etcdctl --endpoints ${urlOf(1)} endpoint health`, when: 'on its machine' },
    { command: `wherry etcdctl --endpoints ${urlOf(0)} member remove 1a2`, when: 'it will not come back' },
  ]);
  assert.equal(quorum(facts).result, 'WARN');
  assert.match(quorum(facts).seen, /none may be lost now$/);
});

test('one of five is dead: another may be lost', () => {
  const facts = withSilent(healthyFacts(5), 4);
  assert.equal(quorum(facts).result, 'OK');
  assert.equal(quorum(facts).seen, '4 of 5 voters answer, 3 needed: 1 may be lost');
});

test('without most members nothing is served, and nobody is told to remove members', () => {
  let facts = withSilent(withSilent(healthyFacts(), 1), 2);
  facts = withEndpoint(facts, 0, { read: { kind: 'silent', why: 'no answer in time' } });
  const { result, seen, next } = quorum(facts);
  assert.equal(result, 'FAIL');
  assert.match(
    seen,
    /^1 of 3 voters answers?, 2 needed: nothing is written, and read only from one member alone \(no answer in time\)$/,
  );
  assert.equal(next?.at(-1)?.command, 'wherry etcdutl recover DIR');
  assert.ok(members(facts).next!.every(({ command }) => !command.includes('remove')));
});

test('most cannot be reached from here, but the one that can serves', () => {
  const facts = withSilent(withSilent(healthyFacts(), 1), 2);
  assert.equal(quorum(facts).result, 'WARN');
  assert.match(quorum(facts).seen, /the cluster serves/);
});

test('an even number of voters is one too many; a learner does not count', () => {
  assert.match(quorum(healthyFacts(4)).seen, /^an even number of voters \(4\) survives no more losses than 3$/);
  const facts = withMember(healthyFacts(4), 3, { isLearner: true });
  assert.equal(quorum(facts).result, 'OK');
});

test('a member that was added and never started fails as a voter, and warns as a learner', () => {
  const added = withSilent(withMember(healthyFacts(4), 3, { name: '', clientUrls: [] }), 3);
  assert.equal(members(added).result, 'FAIL');
  assert.equal(members(added).seen, '1a4 was added and has never started');
  assert.equal(members(withMember(added, 3, { isLearner: true })).result, 'WARN');
});

test('nobody answers', () => {
  const facts: Facts = { ...withSilent(healthyFacts(1), 0), members: { kind: 'silent', why: 'x' } };
  assert.equal(members(facts).seen, `no member answers (${urlOf(0)}: connection refused)`);
  for (const check of [quorum, learners, clientUrls]) assert.equal(check(facts).result, 'SKIP');
});

test('whoever asks has no name, and authentication is on', () => {
  const denied = { kind: 'denied', why: 'etcdserver: user name is empty' } as const;
  const facts = withEndpoint({ ...healthyFacts(1), members: denied, user: 'bob' }, 0, {
    status: denied,
    read: denied,
  });
  const { result, seen, next } = members(facts);
  assert.equal(result, 'FAIL');
  assert.match(seen, /^members answer nobody without a user's name, or not this one \(/);
  assert.equal(next?.[0]?.command, `wherry etcdctl --user root --endpoints ${urlOf(0)} doctor`);
  assert.equal(quorum(facts).result, 'SKIP');
});

test('a member of another cluster, and one that knows other members', () => {
  assert.match(
    members(withStatus(healthyFacts(), 2, { clusterId: 0xc2n })).seen,
    /different clusters: m1 .* of c1, .*m3 .* of c2$/,
  );
  const zombie = members(withEndpoint(healthyFacts(), 2, { memberIds: answered([idOf(2), 0xffn]) }));
  assert.equal(zombie.result, 'WARN');
  assert.equal(zombie.seen, 'm3 knows other members: m3, ff');
});

test('a learner is told of: promoted when it has caught up, waited for until then, looked for when it is silent', () => {
  const caughtUp = withMember(healthyFacts(4), 3, { isLearner: true });
  assert.equal(learners(caughtUp).result, 'WARN');
  assert.equal(learners(caughtUp).seen, 'm4 has no vote: it has caught up');
  assert.deepEqual(learners(caughtUp).next, [{ command: `wherry etcdctl --endpoints ${urlOf(0)} member promote 1a4` }]);
  const behind = withStatus(caughtUp, 3, { isLearner: true, index: 4000, appliedIndex: 3999 });
  assert.equal(learners(behind).seen, 'm4 has no vote: 6001 entries behind');
  assert.equal(learners(behind).next?.[0]?.when, 'it has caught up');
  assert.equal(learners(withSilent(caughtUp, 3)).seen, 'm4 has no vote, and does not answer');
});

test('an address that another member answers at, that two have, that is none, that cannot be reached', () => {
  const swapped = withStatus(healthyFacts(), 1, { memberId: idOf(2) });
  assert.equal(clientUrls(swapped).result, 'FAIL');
  assert.equal(clientUrls(swapped).seen, `m2 advertises ${urlOf(1)}, where m3 answers`);
  const shared = withMember(healthyFacts(), 1, { clientUrls: [urlOf(0)] });
  assert.match(clientUrls(shared).seen, new RegExp(`^m1 and m2 advertise the same ${urlOf(0)}`));
  const any = withMember(healthyFacts(), 1, { clientUrls: ['http://0.0.0.0:2379'] });
  assert.match(clientUrls(any).seen, /m2 advertises http:\/\/0\.0\.0\.0:2379, which is no address to connect to/);
  const base = withMember(healthyFacts(), 1, { clientUrls: [urlOf(1), 'http://elsewhere:1'] });
  const silent = { ...withSilent(base, 1).endpoints[1]!, url: 'http://elsewhere:1' };
  const partly = clientUrls({ ...base, endpoints: [...base.endpoints, silent] });
  assert.equal(partly.result, 'WARN');
  assert.equal(partly.seen, 'm2 advertises http://elsewhere:1, which cannot be reached from here: connection refused');
});

test('an address that was given and belongs to nobody', () => {
  const base = healthyFacts();
  const stray = { ...withSilent(base, 0).endpoints[0]!, url: 'gone:2379', given: true };
  const { result, seen } = clientUrls({ ...base, endpoints: [...base.endpoints, stray] });
  assert.equal(result, 'WARN');
  assert.equal(seen, 'gone:2379 was given, and does not answer: connection refused');
});

test('a dead member is told of once: its address is no complaint of its own', () => {
  assert.equal(clientUrls(withSilent(healthyFacts(), 1)).result, 'OK');
});
