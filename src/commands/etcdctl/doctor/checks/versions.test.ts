/** Versions: alike, in the middle of an upgrade, too far apart, on the way back. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { answered, healthyFacts, idOf, withEndpoint, withStatus } from '#testkit/etcd-doctor-facts.ts';
import { versions } from './versions.ts';

test('alike, and patches may differ', () => {
  assert.equal(versions(healthyFacts()).seen, 'all 3.5.16; cluster 3.5.0');
  const patched = versions(withStatus(healthyFacts(2), 1, { version: '3.5.26' }));
  assert.equal(patched.result, 'OK');
  assert.equal(patched.seen, 'm1 3.5.16, m2 3.5.26; cluster 3.5.0');
});

test('one minor version apart warns, two fail', () => {
  const mixed = (version: string) => versions(withStatus(healthyFacts(2), 1, { version }));
  assert.equal(mixed('3.6.1').result, 'WARN');
  assert.match(mixed('3.6.1').seen, /^mixed versions, .*: m1 3\.5\.16, m2 3\.6\.1$/);
  assert.equal(mixed('3.7.0-rc.0').result, 'FAIL');
  assert.equal(mixed('unknown').result, 'OK');
});

test('the cluster is behind its members', () => {
  const { result, seen } = versions(withEndpoint(healthyFacts(1), 0, { clusterVersion: answered('3.4.0') }));
  assert.equal(result, 'WARN');
  assert.equal(seen, 'the cluster is at 3.4.0, its members are m1 3.5.16');
  const undecided = withEndpoint(healthyFacts(1), 0, { clusterVersion: { kind: 'refused', why: '' } });
  assert.equal(versions(undecided).seen, 'all 3.5.16');
});

test('a downgrade: by the status of 3.6, by the peer port of 3.5', () => {
  const newer = versions(withStatus(healthyFacts(1), 0, { version: '3.6.0', downgradeTo: '3.5.0' }));
  assert.equal(newer.seen, 'a downgrade to 3.5.0 goes on');
  assert.match(newer.next![0]!.command, /downgrade cancel$/);
  assert.equal(versions({ ...healthyFacts(1), downgrading: [idOf(0)] }).seen, 'a downgrade goes on');
});
