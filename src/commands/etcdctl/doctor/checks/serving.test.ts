/** What members say of their health, alarms, watchers that are behind, and authentication. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  answered,
  healthyFacts,
  idOf,
  metricsOf,
  urlOf,
  withEndpoint,
  withMetrics,
  withStatus,
} from '#testkit/etcd-doctor-facts.ts';
import { defaultThresholds as thresholds } from '../thresholds.ts';
import { alarms, auth, health, watchers } from './serving.ts';

test('all well', () => {
  const facts = healthyFacts();
  assert.deepEqual(
    [health(facts).seen, alarms(facts).seen, watchers(facts, thresholds).seen],
    ['3 members well by their own account', 'none', '36 watchers, 0 behind'],
  );
});

test('a member that says it is not well, by either page', () => {
  const ill = health(withEndpoint(healthyFacts(), 1, { health: answered('RAFT NO LEADER') }));
  assert.equal(ill.result, 'FAIL');
  assert.equal(ill.seen, 'm2: /health: RAFT NO LEADER');
  const unready = health(withEndpoint(healthyFacts(), 1, { ready: answered(['data_corruption failed: x']) }));
  assert.equal(unready.seen, 'm2: /readyz: data_corruption failed: x');
});

test('a learner, a server without /readyz and one without HTTP are no complaint', () => {
  const learner = withStatus(withEndpoint(healthyFacts(), 2, { health: answered('RANGE ERROR:x') }), 2, {
    isLearner: true,
  });
  assert.equal(health(learner).seen, '2 members well by their own account');
  const refused = { kind: 'refused', why: '/readyz answers 404' } as const;
  assert.equal(health(withEndpoint(healthyFacts(1), 0, { ready: refused })).seen, '1 member well by its own account');
  const mixed = withEndpoint(healthyFacts(2), 0, { health: { kind: 'silent', why: 'no answer in time' } });
  assert.equal(health(mixed).seen, '1 member well by its own account; no answer on HTTP from m1: no answer in time');
  assert.equal(health(withEndpoint(healthyFacts(1), 0, { health: refused })).result, 'SKIP');
});

test('NOSPACE: the way back, in the order to type it', () => {
  const { result, seen, next } = alarms({
    ...healthyFacts(),
    alarms: answered([{ memberId: idOf(1), alarm: 'NOSPACE' }]),
  });
  assert.equal(result, 'FAIL');
  assert.equal(seen, 'NOSPACE at m2 (its quota is used up: nothing is written)');
  assert.deepEqual(
    next?.map(({ command }) => command.replace(`wherry etcdctl --endpoints ${urlOf(0)} `, '')),
    ['compaction 900', 'defrag --cluster', 'alarm disarm'],
  );
});

test('CORRUPT: the member is replaced, by way of another', () => {
  const { next } = alarms({ ...healthyFacts(), alarms: answered([{ memberId: idOf(0), alarm: 'CORRUPT' }]) });
  assert.equal(next?.[0]?.command, `wherry etcdctl --endpoints ${urlOf(1)} member remove 1a1`);
});

test('without a quorum, alarms are those of the statuses, each once', () => {
  const silent = { ...healthyFacts(), alarms: { kind: 'silent', why: 'no answer in time' } } as const;
  const errors = [`memberID:${idOf(2)} alarm:NOSPACE `, 'etcdserver: no leader'];
  const { seen, figures } = alarms(withStatus(withStatus(silent, 0, { errors }), 1, { errors }));
  assert.match(seen, /^NOSPACE at m3/);
  assert.equal(figures?.[0]?.value, 1);
});

test('watchers: those behind at both looks count, and events that wait', () => {
  const of = (first: Readonly<Record<string, number>>, later = first) =>
    watchers(withMetrics(healthyFacts(1), 0, metricsOf(first), metricsOf(later)), thresholds);
  const slow = 'etcd_debugging_mvcc_slow_watcher_total';
  assert.equal(of({ [slow]: 2 }, { [slow]: 0 }).result, 'OK');
  assert.equal(of({ [slow]: 2 }).result, 'WARN');
  assert.match(of({ [slow]: 2 }).seen, /^m1: 2 of 12 watchers behind/);
  assert.match(of({ etcd_debugging_mvcc_pending_events_total: 8_700_000 }).seen, /^m1: 8700000 events wait/);
});

test('authentication is told, not judged', () => {
  assert.equal(auth({ ...healthyFacts(), auth: answered({ enabled: true, revision: 7 }) }).seen, 'on, revision 7');
  assert.equal(auth({ ...healthyFacts(), auth: { kind: 'denied', why: '' } }).seen, 'on');
  assert.equal(auth({ ...healthyFacts(), auth: { kind: 'refused', why: 'unknown method' } }).result, 'SKIP');
});
