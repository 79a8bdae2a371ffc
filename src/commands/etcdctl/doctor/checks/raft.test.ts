/** Whether the members agree on who leads, keep up, and get their writes through. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  answered,
  healthyFacts,
  hourMs,
  idOf,
  metricsOf,
  nowMs,
  withEndpoint,
  withMetrics,
  withSilent,
  withStatus,
} from '#testkit/etcd-doctor-facts.ts';
import { defaultThresholds as thresholds } from '../thresholds.ts';
import { leader, proposals, raftLag } from './raft.ts';

test('all well', () => {
  const facts = healthyFacts();
  assert.equal(
    leader(facts, thresholds).seen,
    'm1 in term 4, all agree; changes seen: m1 2 in 10h, m2 2 in 10h, m3 2 in 10h',
  );
  assert.equal(raftLag(facts, thresholds).seen, 'index 10000; behind: m1 0, m2 0, m3 0');
  assert.equal(
    proposals(facts, thresholds).seen,
    'waiting: m1 0, m2 0, m3 0; failed since the start: m1 3, m2 3, m3 3',
  );
  for (const check of [leader, raftLag, proposals]) assert.equal(check(facts, thresholds).result, 'OK');
});

test('a member without a leader, members that disagree, a leader that is none of them', () => {
  const without = leader(withStatus(healthyFacts(), 2, { leader: 0n }), thresholds);
  assert.equal(without.result, 'FAIL');
  assert.equal(without.seen, 'm3: no leader');
  const apart = leader(withStatus(healthyFacts(), 2, { leader: idOf(2), term: 5 }), thresholds);
  assert.equal(
    apart.seen,
    'no agreement on the leader: m1 says m1 in term 4, m2 says m1 in term 4, m3 says m3 in term 5',
  );
  const stranger = leader(withStatus(healthyFacts(1), 0, { leader: 0xdeadn }), thresholds);
  assert.equal(stranger.seen, 'the leader dead is no member');
});

test('the second look counts: an election in between is no disagreement, but it is a change', () => {
  let facts = healthyFacts();
  for (const index of [0, 1, 2]) {
    const { status } = facts.endpoints[index]!;
    if (status.kind !== 'answered') throw new Error();
    facts = withEndpoint(facts, index, { statusLater: answered({ ...status.value, leader: idOf(1), term: 5 }) });
    facts = withMetrics(facts, index, metricsOf({}), metricsOf({ etcd_server_leader_changes_seen_total: 3 }));
  }
  const { result, seen } = leader(facts, thresholds);
  assert.equal(result, 'WARN');
  assert.match(seen, /^1 change of the leader in the last 1s, as m1 saw/);
});

test('many changes an hour warn, some at the start and a counter that went back do not', () => {
  const changes = (total: number, hours: number) => ({
    etcd_server_leader_changes_seen_total: total,
    process_start_time_seconds: (nowMs - hours * hourMs) / 1000,
  });
  const of = (total: number, hours: number) =>
    leader(withMetrics(healthyFacts(1), 0, metricsOf(changes(total, hours))), thresholds);
  assert.equal(of(41, 10).result, 'WARN');
  assert.equal(of(41, 10).seen, '4.0 changes of the leader in an hour, as m1 saw');
  assert.equal(of(3, 0.1).result, 'OK');
  assert.equal(of(11, 10).result, 'OK');
  const restarted = withMetrics(
    healthyFacts(1),
    0,
    metricsOf({}),
    metricsOf({ etcd_server_leader_changes_seen_total: 0 }),
  );
  assert.equal(leader(restarted, thresholds).result, 'OK');
});

test('lag is what somebody had at first and a member has not applied in the end', () => {
  const of = (appliedIndex: number, index = 10_000) =>
    raftLag(withStatus(healthyFacts(), 1, { index, appliedIndex }), thresholds);
  assert.equal(of(9000).result, 'OK');
  const slow = of(8000, 9500);
  assert.equal(slow.result, 'WARN');
  assert.equal(slow.seen, 'm2 is 2000 entries behind (500 not received, 1500 not applied)');
  assert.equal(of(5000).result, 'FAIL');
  assert.match(of(5000).seen, /takes no writes$/);
  assert.deepEqual(slow.figures?.[1], { name: 'entries_behind', value: 2000, of: 'm2' });
});

test('what others write between the looks makes nobody lag', () => {
  const facts = healthyFacts();
  const { status } = facts.endpoints[0]!;
  if (status.kind !== 'answered') throw new Error();
  const ahead = withEndpoint(facts, 0, {
    statusLater: answered({ ...status.value, index: 99_000, appliedIndex: 99_000 }),
  });
  assert.equal(raftLag(ahead, thresholds).result, 'OK');
});

test('proposals that wait at both looks, and those that failed in between', () => {
  const pending = (first: number, later: number) =>
    proposals(
      withMetrics(
        healthyFacts(),
        0,
        metricsOf({ etcd_server_proposals_pending: first }),
        metricsOf({ etcd_server_proposals_pending: later }),
      ),
      thresholds,
    );
  assert.equal(pending(500, 0).result, 'OK');
  assert.equal(pending(500, 101).seen, 'm1: 101 proposals wait');
  const failed = proposals(
    withMetrics(healthyFacts(), 0, metricsOf({}), metricsOf({ etcd_server_proposals_failed_total: 4 })),
    thresholds,
  );
  assert.equal(failed.result, 'WARN');
  assert.equal(failed.seen, 'm1: 1 proposal failed in the last 1s');
});

test('a learner is behind as long as it is new: that is no lag', () => {
  const facts = withStatus(healthyFacts(), 2, { isLearner: true, appliedIndex: 1 });
  assert.equal(raftLag(facts, thresholds).seen, 'index 10000; behind: m1 0, m2 0');
});

test('requests that were refused for want of memory between the looks', () => {
  const total = (value: number) => metricsOf({ etcd_server_admission_refused_total: value });
  const { result, seen } = proposals(withMetrics(healthyFacts(), 1, total(5), total(7)), thresholds);
  assert.equal(result, 'WARN');
  assert.equal(seen, 'm2: 2 requests refused for want of memory in the last 1s');
  assert.equal(proposals(withMetrics(healthyFacts(), 1, total(5)), thresholds).result, 'OK');
});

test('without anybody, or without metrics, nothing is known', () => {
  const alone = withSilent(healthyFacts(1), 0);
  for (const check of [leader, raftLag, proposals]) assert.equal(check(alone, thresholds).result, 'SKIP');
  const blind = withEndpoint(healthyFacts(1), 0, { metrics: { kind: 'refused', why: '/metrics answers 404' } });
  assert.equal(leader(blind, thresholds).seen, 'm1 in term 4, all agree');
});
