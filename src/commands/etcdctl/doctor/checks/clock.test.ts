/** Clocks that are apart for certain, and those that may only seem so. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { healthyFacts, idOf } from '#testkit/etcd-doctor-facts.ts';
import type { ClockFacts } from '../facts.ts';
import { defaultThresholds as thresholds } from '../thresholds.ts';
import { clock } from './clock.ts';

const of = (...clocks: readonly (readonly [min: number, max: number, source?: ClockFacts['source']])[]) =>
  clock(
    {
      ...healthyFacts(),
      clocks: clocks.map(([aheadMinMs, aheadMaxMs, source = 'probing'], i) => ({
        memberId: idOf(i),
        source,
        aheadMinMs,
        aheadMaxMs,
      })),
    },
    thresholds,
  );

test('close together, each with how exactly it is known', () => {
  const { result, seen } = of([-2, 2], [10, 16]);
  assert.equal(result, 'OK');
  assert.equal(seen, 'ahead of this machine: m1 0ms +/-2ms, m2 +13ms +/-3ms');
});

test('a second apart for certain', () => {
  const { result, seen } = of([-2, 2], [1500, 1504]);
  assert.equal(result, 'WARN');
  assert.equal(seen, 'this machine and m2 are at least 1.5s apart; m1 and m2 are at least 1.5s apart');
});

test('all members alike, and this machine wrong', () => {
  assert.equal(
    of([90_000, 90_004], [90_001, 90_006]).seen,
    'this machine and m1 are at least 1m 30s apart; this machine and m2 are at least 1m 30s apart',
  );
});

test('whole seconds prove nothing below two', () => {
  const { result, seen } = of([-900, 200, 'date'], [800, 1900, 'date']);
  assert.equal(result, 'OK');
  assert.match(seen, /\(by the Date header, to the second\)$/);
  assert.equal(of([-900, 200, 'date'], [1300, 2400, 'date']).result, 'WARN');
});

test('no clock at all', () => {
  assert.equal(of().result, 'SKIP');
});
