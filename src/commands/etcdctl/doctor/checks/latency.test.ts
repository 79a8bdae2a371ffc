/** What is made of the histograms of disks and ways to peers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { healthyFacts, histogramText, metricsOf, withMetrics } from '#testkit/etcd-doctor-facts.ts';
import { defaultThresholds as thresholds } from '../thresholds.ts';
import { disk, peerLatency } from './latency.ts';

const fsync = 'etcd_disk_wal_fsync_duration_seconds';
const commit = 'etcd_disk_backend_commit_duration_seconds';
const roundTrip = 'etcd_network_peer_round_trip_time_seconds';
const fast = histogramText(fsync, { 0.001: 900, 0.002: 1000 }, 0.8);
const of = (text: string, later = text) =>
  disk(withMetrics(healthyFacts(1), 0, metricsOf({}, text), metricsOf({}, later)), thresholds);

test('a disk that is fast enough', () => {
  const { result, seen, figures } = of(fast + histogramText(commit, { 0.004: 100 }, 0.2));
  assert.equal(result, 'OK');
  assert.equal(
    seen,
    'm1: sync p99 1.9ms, mean 0.8ms (1000 since the start); commit p99 4ms, mean 2ms (100 since the start)',
  );
  assert.deepEqual(figures?.[0], { name: 'wal_fsync_p99_seconds', value: 0.0019, of: 'm1' });
});

test('a slow sync warns, one of a second fails; a slow commit warns', () => {
  const slow = of(histogramText(fsync, { 0.008: 900, 0.016: 1000 }, 8));
  assert.equal(slow.result, 'WARN');
  assert.match(slow.seen, /^m1: sync p99 15ms, .*: over 10ms$/);
  assert.equal(of(histogramText(fsync, { 1.024: 100, 2.048: 1000 }, 900)).result, 'FAIL');
  assert.equal(of(fast + histogramText(commit, { 4.096: 0, 8.192: 100 }, 500)).result, 'WARN');
});

test('with few syncs it is the mean that counts', () => {
  assert.equal(of(histogramText(fsync, { 0.001: 9, 8.192: 10 }, 0.05)).seen, 'm1: sync mean 5ms (10 since the start)');
  assert.equal(of(histogramText(fsync, { 0.001: 1, 8.192: 20 }, 30)).result, 'FAIL');
  assert.equal(of(histogramText(fsync, { 0.001: 1, 8.192: 9 }, 30)).result, 'OK');
});

test('a busy interval says more than the time since the start', () => {
  const later = histogramText(fsync, { 0.001: 900, 0.002: 1000, 0.128: 1000, 0.256: 1200 }, 40.8);
  const before = histogramText(fsync, { 0.001: 900, 0.002: 1000, 0.128: 1000, 0.256: 1000 }, 0.8);
  const { result, seen } = of(before, later);
  assert.equal(result, 'WARN');
  assert.match(seen, /^m1: sync p99 25\dms, mean 200ms \(200 in the last 1s\): over 10ms$/);
});

test('beyond the last bound, only that is said', () => {
  const text = `${fsync}_bucket{le="8.192"} 0\n${fsync}_bucket{le="+Inf"} 200\n${fsync}_sum 4000\n${fsync}_count 200\n`;
  assert.match(of(text).seen, /^m1: sync p99 over 8\.2s, mean 20s/);
});

test('a server that never commits, and one that tells nothing', () => {
  const none = `${commit}_bucket{le="+Inf"} 0\n${commit}_sum 0\n${commit}_count 0\n`;
  assert.equal(of(fast + none).seen, 'm1: sync p99 1.9ms, mean 0.8ms (1000 since the start)');
  assert.equal(of('').result, 'SKIP');
});

test('ways to peers: the slowest is told, a removed member is not, a long way warns', () => {
  const between = (text: string) => peerLatency(withMetrics(healthyFacts(), 0, metricsOf({}, text)), thresholds);
  const near = histogramText(roundTrip, { 0.0004: 200 }, 0.06, 'To="1a2"');
  const gone = histogramText(roundTrip, { 3.2768: 200 }, 500, 'To="dead"');
  const { result, seen } = between(near + gone);
  assert.equal(result, 'OK');
  assert.equal(seen, '1 way, the slowest m1 to m2: p99 0.4ms, mean 0.3ms (200 since the start)');
  const far = between(near + histogramText(roundTrip, { 0.2048: 4 }, 0.6, 'To="1a3"'));
  assert.equal(far.result, 'WARN');
  assert.equal(far.seen, 'm1 to m3: mean 150ms (4 since the start): over 100ms');
  assert.equal(between('').result, 'SKIP');
});
