/** One timer for all watches, none without a watch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainTurns } from '#host/event-loop.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { BookmarkTimer, bookmarkIntervalMs } from './bookmark-timer.ts';

test('every watch is told at each interval, from one timer that goes with the last of them', async () => {
  const clock = new VirtualClock();
  const timer = new BookmarkTimer(clock);
  const told: string[] = [];
  const first = timer.follow(() => told.push('first'));
  const second = timer.follow(() => told.push('second'));
  assert.equal(clock.pending, 1);
  await clock.advance(bookmarkIntervalMs, drainTurns);
  assert.deepEqual(told.splice(0), ['first', 'second']);
  first[Symbol.dispose]();
  await clock.advance(bookmarkIntervalMs, drainTurns);
  assert.deepEqual(told.splice(0), ['second']);
  second[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});
