/** Delays grow to their bound, run from when the thing ended, and are forgotten. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { VirtualClock } from '#std/virtual-clock.ts';
import { Backoff } from './backoff.ts';

it('doubles from ten seconds to five minutes', { timeout: 5000 }, () => {
  const backoff = new Backoff(new VirtualClock());
  assert.equal(backoff.delayMs('pod/main'), 0);
  const seen: number[] = [];
  for (let i = 0; i < 7; i++) {
    backoff.next('pod/main');
    seen.push(backoff.delayMs('pod/main'));
  }
  assert.deepEqual(seen, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
});

it('counts what is left from the given moment, and never below zero', { timeout: 5000 }, async () => {
  const clock = new VirtualClock();
  const backoff = new Backoff(clock);
  const since = clock.monotonicMs();
  assert.equal(backoff.remainingMs('a', since), 0);
  backoff.next('a');
  assert.equal(backoff.remainingMs('a', since), 10_000);
  assert.equal(backoff.remainingMs('a', since - 4_000), 6_000);
  assert.equal(backoff.remainingMs('a', since - 60_000), 0);
});

it('forgets the keys of one pod and keeps the others', { timeout: 5000 }, () => {
  const backoff = new Backoff(new VirtualClock());
  for (const key of ['one/main', 'one/side', 'two/main']) backoff.next(key);
  backoff.forget('one/');
  assert.deepEqual(
    ['one/main', 'one/side', 'two/main'].map((key) => backoff.delayMs(key)),
    [0, 0, 10_000],
  );
});
