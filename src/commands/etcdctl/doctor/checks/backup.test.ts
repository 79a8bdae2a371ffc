/** The age of the newest backup, whichever kind it is, and what makes one worthless. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { healthyFacts, hourMs, nowMs } from '#testkit/etcd-doctor-facts.ts';
import type { BackupFacts } from '../facts.ts';
import { defaultThresholds as thresholds } from '../thresholds.ts';
import { backup } from './backup.ts';

const of = (its: Partial<BackupFacts>) =>
  backup(
    { ...healthyFacts(), backup: { folder: '/b', archive: undefined, snapshot: undefined, problems: [], ...its } },
    thresholds,
  );
const archive = { seenMs: nowMs - 2000, revision: 899, clusterId: 0xc1n, restorable: true };
const snapshot = { path: '/b/s.db', timeMs: nowMs - 3 * hourMs, revision: 700 };

test('nobody asked', () => {
  assert.equal(backup(healthyFacts(), thresholds).result, 'SKIP');
});

test('the younger of archive and snapshot counts', () => {
  assert.equal(of({ archive, snapshot }).seen, 'archive /b, of 2s ago, revision 899, 1 behind');
  assert.equal(of({ snapshot }).seen, 'snapshot /b/s.db, of 3h ago, revision 700, 200 behind');
  assert.equal(of({ snapshot }).result, 'OK');
});

test('too old, and none', () => {
  const old = of({ snapshot: { ...snapshot, timeMs: nowMs - 26 * hourMs } });
  assert.equal(old.result, 'FAIL');
  assert.match(old.seen, /of 1d 2h ago, .*: older than 1d 1h$/);
  assert.equal(of({}).seen, '/b holds no backup that can be restored');
  assert.match(of({}).next![0]!.command, /backup run \/b$/);
});

test('an archive without a base is none; one of another cluster is no use; damage is told', () => {
  assert.equal(of({ archive: { ...archive, restorable: false } }).result, 'FAIL');
  const other = of({ archive: { ...archive, clusterId: 0xc2n } });
  assert.equal(other.result, 'FAIL');
  assert.equal(other.seen, '/b is the archive of another cluster, c2; this is c1');
  const damaged = of({ archive, problems: ['/b/x: damaged at byte 3'] });
  assert.equal(damaged.result, 'WARN');
  assert.deepEqual(damaged.next, [{ command: 'wherry etcdutl backup verify /b' }]);
});

test('a file from the future, by a clock that was wrong, is not old', () => {
  assert.match(of({ snapshot: { ...snapshot, timeMs: nowMs + hourMs } }).seen, /of 0ms ago/);
});
