/** What pages of members say, of upstream's wording and of others, and which bounds their clocks have. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Page } from '../page.ts';
import { PageError } from './ask.ts';
import { aheadByDate, aheadByProbing, clusterVersionOf, healthOf, isDowngrading, narrowed, readyOf } from './pages.ts';

const page = (status: number, text: string, more: Partial<Page> = {}): Page => ({
  path: '/x',
  status,
  text,
  headers: [],
  sentMs: 0,
  receivedMs: 0,
  ...more,
});

test('/health', () => {
  assert.equal(healthOf(page(200, '{"health":"true","reason":""}')), '');
  assert.equal(healthOf(page(503, '{"health":"false","reason":"ALARM NOSPACE"}')), 'ALARM NOSPACE');
  assert.equal(healthOf(page(503, '{"health":"false"}')), 'not well');
  for (const other of [page(404, '404 page not found\n'), page(200, '[]'), page(200, 'null')])
    assert.throws(() => healthOf(other), PageError);
});

test('/readyz', () => {
  assert.deepEqual(readyOf(page(200, 'ok\n')), []);
  const text = '[+]data_corruption ok\n[-]linearizable_read failed: etcdserver: request timed out\n\n';
  assert.deepEqual(readyOf(page(503, text)), ['linearizable_read failed: etcdserver: request timed out']);
  assert.throws(() => readyOf(page(404, '')), PageError);
});

test('/version, before and after the members have agreed', () => {
  assert.equal(clusterVersionOf(page(200, '{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}')), '3.5.0');
  assert.throws(() => clusterVersionOf(page(200, '{"etcdserver":"3.5.16","etcdcluster":"not_decided"}')), PageError);
});

test('/downgrade/enabled', () => {
  assert.ok(isDowngrading(page(200, 'true')));
  assert.ok(!isDowngrading(page(200, 'false')) && !isDowngrading(page(404, 'true')));
});

test('a clock lies between what is certain', () => {
  const now = Date.parse('2026-01-31T15:04:05.500Z');
  const times = { sentMs: now - 10, receivedMs: now + 4 };
  const probed = page(200, '{"OK":true,"Now":"2026-01-31T15:04:05.500123456Z"}', times);
  assert.deepEqual(aheadByProbing(probed), { minMs: -5, maxMs: 11 });
  const dated = page(200, '', { ...times, headers: [['date', 'Sat, 31 Jan 2026 15:04:05 GMT']] });
  assert.deepEqual(aheadByDate(dated), { minMs: -505, maxMs: 510 });
  assert.equal(aheadByProbing(page(404, '')), undefined);
  assert.equal(aheadByDate(page(200, '')), undefined);
});

test('several looks at a clock narrow it; where it was set meanwhile the last one counts', () => {
  assert.deepEqual(
    narrowed([
      { minMs: -500, maxMs: 500 },
      { minMs: -3, maxMs: 800 },
    ]),
    { minMs: -3, maxMs: 500 },
  );
  assert.deepEqual(
    narrowed([
      { minMs: 0, maxMs: 1 },
      { minMs: 60_000, maxMs: 60_001 },
    ]),
    { minMs: 60_000, maxMs: 60_001 },
  );
  assert.equal(narrowed([]), undefined);
});
