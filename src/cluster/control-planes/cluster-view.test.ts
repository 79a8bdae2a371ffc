/** What is new between two looks at several control planes: leaders with the gap before them, leases, processes that go and come. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ClusterWatch, lagOf, leaderOf, leasesOf, type PlaneSight, stateOf } from './cluster-view.ts';
import type { PlaneStatus } from './plane-status.ts';

type Member = NonNullable<PlaneStatus['member']>;

function sight(name: string, member: Partial<Member> = {}, more: Partial<PlaneStatus> = {}): PlaneSight {
  const whole: Member = {
    ...{ memberId: name, role: 'follower', leaderId: '', term: 2, committedIndex: 10, appliedIndex: 10, revision: 5 },
    ...member,
  };
  const status = { name, pid: 1, version: '', phase: 'ready' as const, open: true, leases: [], member: whole, ...more };
  return { name, pid: 1, status, memoryBytes: 1 };
}
const dead = (name: string): PlaneSight => ({ name, pid: undefined, status: undefined, memoryBytes: 0 });
const lease = (holder: string, acquireTime: string, renewTime: string) => ({
  ...{ name: 'kube-scheduler', holder, acquireTime, renewTime, transitions: 0 },
});

test('a leader that died is told of with the time that nobody led', () => {
  const watch = new ClusterWatch();
  const first = watch.look([sight('cp-1', { role: 'leader' }), sight('cp-2')], 1000);
  assert.deepEqual(
    first.filter(({ event }) => event === 'leader'),
    [{ event: 'leader', name: 'cp-1', term: 2, gapMs: undefined }],
  );
  assert.deepEqual(watch.look([sight('cp-1', { role: 'leader' }), sight('cp-2')], 1100), []);
  assert.deepEqual(watch.look([dead('cp-1'), sight('cp-2')], 1200), [{ event: 'state', name: 'cp-1', state: 'dead' }]);
  assert.deepEqual(watch.look([dead('cp-1'), sight('cp-2', { role: 'leader', term: 3 })], 2400), [
    { event: 'leader', name: 'cp-2', term: 3, gapMs: 1300 },
  ]);
});

test('one that sleeps through an election and still thinks that it leads does not count', () => {
  const watch = new ClusterWatch();
  watch.look([sight('cp-1', { role: 'leader', term: 2 }), sight('cp-2', { term: 2 })], 0);
  const both = [sight('cp-1', { role: 'leader', term: 2 }), sight('cp-2', { role: 'leader', term: 3 })];
  assert.equal(leaderOf(both)?.name, 'cp-2');
  assert.equal(watch.look(both, 100).length, 1);
  assert.deepEqual(watch.look([sight('cp-1', { role: 'leader', term: 2 }), sight('cp-2', { term: 3 })], 200), []);
});

test('a lease that changes hands counts from the last renewal to the first; given back it waits for the next holder', () => {
  const watch = new ClusterWatch();
  const at = (...leases: ReturnType<typeof lease>[]) => watch.look([sight('cp-1', {}, { leases })], 0);
  at(lease('cp-1', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:02.000000Z'));
  assert.deepEqual(at(lease('', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:02.500000Z')), []);
  assert.deepEqual(at(lease('cp-2', '2026-01-01T00:00:03.250000Z', '2026-01-01T00:00:03.250000Z')), [
    { event: 'lease', name: 'kube-scheduler', holder: 'cp-2', gapMs: 1250 },
  ]);
});

test('the newest view of a lease wins, whoever has it', () => {
  const old = lease('cp-1', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:01.000000Z');
  const fresh = lease('cp-2', '2026-01-01T00:00:09.000000Z', '2026-01-01T00:00:09.000000Z');
  const seen = leasesOf([sight('cp-1', {}, { leases: [fresh] }), sight('cp-2', {}, { leases: [old] })]);
  assert.deepEqual(seen, [fresh]);
});

test('states and lag', () => {
  assert.equal(stateOf(dead('cp-1')), 'dead');
  assert.equal(stateOf({ ...dead('cp-1'), pid: 3 }), 'silent');
  assert.equal(stateOf(sight('cp-1', {}, { open: false })), 'closed');
  assert.equal(stateOf(sight('cp-1', {}, { phase: 'starting', open: false })), 'starting');
  const leader = sight('cp-1', { role: 'leader', committedIndex: 30 });
  assert.equal(lagOf(sight('cp-2', { appliedIndex: 12 }), leader), 18);
  assert.equal(lagOf(dead('cp-2'), leader), undefined);
});
