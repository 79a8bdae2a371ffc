/** The heap of timers beside a sorted list, and the clock that keeps one timer for many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drainTurns } from '#host/event-loop.ts';
import { OneTimerClock } from './one-timer-clock.ts';
import { TimerHeap } from './timer-heap.ts';
import { VirtualClock } from './virtual-clock.ts';

test('what is added, cancelled and taken is what a sorted list has', () => {
  const step = fc.oneof(
    fc.record({ add: fc.nat(20) }),
    fc.record({ cancel: fc.nat(30) }),
    fc.record({ take: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const heap = new TimerHeap();
      const handles: Disposable[] = [];
      let twin: { atMs: number; id: number }[] = [];
      const fired: number[] = [];
      for (const each of steps) {
        if ('add' in each) {
          const id = handles.length;
          handles.push(heap.add(each.add, () => fired.push(id)));
          twin.push({ atMs: each.add, id });
          twin.sort((a, b) => a.atMs - b.atMs || a.id - b.id);
        } else if ('cancel' in each) {
          handles[each.cancel]?.[Symbol.dispose]();
          twin = twin.filter(({ id }) => id !== each.cancel);
        } else {
          const due = twin[0] !== undefined && twin[0].atMs <= each.take ? twin.shift() : undefined;
          heap.takeDue(each.take)?.callback();
          assert.equal(fired.at(-1), due === undefined ? fired.at(-1) : due.id);
        }
        assert.equal(heap.size, twin.length);
        assert.equal(heap.nextAtMs, twin[0]?.atMs);
      }
    }),
  );
});

test('many timers are one timer of the clock below, and none once they are gone', async () => {
  const base = new VirtualClock();
  const clock = new OneTimerClock(base);
  const fired: string[] = [];
  clock.after(30, () => fired.push('c'));
  clock.after(10, () => {
    fired.push('a');
    clock.after(10, () => fired.push('b'));
  });
  const never = clock.after(20, () => fired.push('never'));
  assert.equal(clock.pending, 3);
  assert.ok(base.pending <= 1);
  never[Symbol.dispose]();
  await base.advance(25, drainTurns);
  assert.deepEqual(fired, ['a', 'b']);
  assert.equal(base.pending, 1);
  await base.advance(10, drainTurns);
  assert.deepEqual(fired, ['a', 'b', 'c']);
  assert.equal(base.pending, 0);
});

test('cancelling the last timer, or closing the clock, leaves nothing below', () => {
  const base = new VirtualClock();
  const clock = new OneTimerClock(base);
  clock.after(10, () => {})[Symbol.dispose]();
  assert.equal(base.pending, 0);
  clock.after(10, () => {});
  clock.after(20, () => {});
  clock[Symbol.dispose]();
  assert.equal(base.pending, 0);
  assert.equal(clock.pending, 0);
});
