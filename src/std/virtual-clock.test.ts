/** The virtual clock: order, cancellation, and sleeping. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainTurns } from '#host/event-loop.ts';
import { sleep } from './clock.ts';
import { VirtualClock } from './virtual-clock.ts';

test('timers fire in order of due time, then of creation', async () => {
  const clock = new VirtualClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push('late'));
  clock.after(10, () => fired.push('first'));
  clock.after(10, () => fired.push('second'));
  await clock.advance(15, drainTurns);
  assert.deepEqual(fired, ['first', 'second']);
  await clock.advance(5, drainTurns);
  assert.deepEqual(fired, ['first', 'second', 'late']);
  assert.equal(clock.pending, 0);
});

test('a timer that a timer starts fires within the same advance', async () => {
  const clock = new VirtualClock();
  const at: number[] = [];
  const tick = () => {
    at.push(clock.monotonicMs());
    if (at.length < 3) clock.after(10, tick);
  };
  clock.after(10, tick);
  await clock.advance(100, drainTurns);
  assert.deepEqual(at, [10, 20, 30]);
  assert.equal(clock.monotonicMs(), 100);
});

test('an aborted sleep rejects and leaves no timer', async () => {
  const clock = new VirtualClock();
  const controller = new AbortController();
  const sleeping = sleep(clock, 1000, controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(sleeping, /enough/);
  assert.equal(clock.pending, 0);
});

test('two who move it at the same time never move it back', async () => {
  const clock = new VirtualClock();
  const tick = () => clock.after(10, tick);
  tick();
  const seen: number[] = [];
  const settle = async () => {
    await drainTurns();
    seen.push(clock.monotonicMs());
  };
  await Promise.all([clock.advance(100, settle), clock.advance(5, settle), clock.advance(42, settle)]);
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.equal(clock.monotonicMs(), 100);
});
