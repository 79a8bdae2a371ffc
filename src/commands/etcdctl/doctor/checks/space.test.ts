/** Quota and fragmentation, at their bars and without them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { healthyFacts, metricsOf, withMetrics, withStatus } from '#testkit/etcd-doctor-facts.ts';
import { defaultThresholds as thresholds } from '../thresholds.ts';
import { fragmentation, quota } from './space.ts';

test('the quota is that of the status, else of the metrics', () => {
  assert.equal(quota(healthyFacts(1), thresholds).seen, 'm1 1.0 GB of 2.1 GB (47%)');
  assert.equal(
    quota(withStatus(healthyFacts(1), 0, { quotaBytes: 4e9 }), thresholds).seen,
    'm1 1.0 GB of 4.0 GB (25%)',
  );
});

test('80 percent warn, 95 fail', () => {
  const used = (ratio: number) =>
    quota(withStatus(healthyFacts(1), 0, { quotaBytes: 1e9, dbBytes: ratio * 1e9 }), thresholds);
  assert.deepEqual(
    [0.79, 0.8, 0.94, 0.95, 1.2].map((ratio) => used(ratio).result),
    ['OK', 'WARN', 'WARN', 'FAIL', 'FAIL'],
  );
  assert.equal(used(0.999).seen, 'm1 999 MB of 1.0 GB (99%)');
  assert.match(used(0.8).next![0]!.command, /compaction 900$/);
});

test('quotas that differ, no quota, and none told', () => {
  assert.match(
    quota(withStatus(healthyFacts(), 1, { quotaBytes: 8e9 }), thresholds).seen,
    /^quotas differ: m1 2\.1 GB, m2 8\.0 GB/,
  );
  const off = withMetrics(healthyFacts(1), 0, metricsOf({ etcd_server_quota_backend_bytes: -1 }));
  assert.equal(quota(off, thresholds).seen, 'm1 1.0 GB, no quota');
  assert.equal(quota(off, thresholds).result, 'OK');
  const blind = withMetrics(healthyFacts(1), 0, metricsOf({ etcd_server_quota_backend_bytes: Number.NaN }));
  assert.equal(quota(blind, thresholds).result, 'SKIP');
});

test('half of a large file idle warns, of a small one does not', () => {
  const of = (dbBytes: number, dbInUseBytes: number) =>
    fragmentation(withStatus(healthyFacts(1), 0, { dbBytes, dbInUseBytes }), thresholds);
  assert.equal(of(1e9, 5e8).result, 'OK');
  assert.equal(of(1e9, 4e8).result, 'WARN');
  assert.equal(of(1e9, 4e8).seen, 'm1 60% of 1.0 GB idle');
  assert.match(of(1e9, 4e8).next![0]!.command, /defrag$/);
  assert.equal(of(1e8, 1e6).result, 'OK');
  assert.equal(of(1e9, 0).result, 'SKIP');
  // Pages that are in use may be counted before the file has grown.
  assert.equal(of(1e6, 2e6).seen, 'm1 0% of 1.0 MB idle');
});
