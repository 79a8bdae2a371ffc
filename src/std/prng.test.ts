/** The seeded generator: repeatable, and uniform enough. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, seededPrng } from './prng.ts';

test('one seed gives one stream; another seed another', () => {
  const draw = (seed: number) =>
    Array.from(
      { length: 8 },
      (
        (prng) => () =>
          prng.uint32()
      )(seededPrng(seed)),
    );
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
});

test('below() covers its range evenly', () => {
  const prng = seededPrng(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 100_000; i++) counts[below(prng, 10)]!++;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, `${counts}`);
});
