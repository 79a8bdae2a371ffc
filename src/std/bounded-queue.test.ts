/** The bounded queue: refusal when full, ending, and errors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedQueue } from './bounded-queue.ts';

test('a full queue refuses and keeps nothing, and takes again after a read', async () => {
  const queue = new BoundedQueue<number>(2);
  assert.equal(queue.push(1), true);
  assert.equal(queue.push(2), true);
  assert.equal(queue.push(3), false);
  const space = queue.hasSpace();
  assert.equal(await queue.shift(), 1);
  await space;
  assert.equal(queue.push(4), true);
  queue.end();
  assert.deepEqual(await Array.fromAsync(queue), [2, 4]);
});

test('items come before the error the queue ended with', async () => {
  const queue = new BoundedQueue<number>(4);
  queue.push(1);
  queue.end(new Error('broken'));
  assert.equal(await queue.shift(), 1);
  await assert.rejects(queue.shift(), /broken/);
});

test('a consumer that waits is woken by an item', async () => {
  const queue = new BoundedQueue<string>(1);
  const next = queue.shift();
  queue.push('here');
  assert.equal(await next, 'here');
});
