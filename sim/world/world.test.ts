/** The simulated world: a callback that throws is a member's end, not the simulation's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from './world.ts';

test('what a callback throws is told, and time goes on', async () => {
  const world = new World(1);
  const told: unknown[] = [];
  world.onError = (error) => told.push(error);
  const error = new Error('out of range');
  world.after(5, () => {
    throw error;
  });
  let later = false;
  world.after(6, () => {
    later = true;
  });
  assert.ok(await world.until(() => later, 10));
  assert.deepEqual(told, [error]);
});
