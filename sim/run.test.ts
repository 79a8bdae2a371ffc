/** The simulation: a few seeds without a violation, and one seed that is the same again, to the byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeed } from './run.ts';

const limit = { timeout: 120_000 };

test('members of one, three and five keep what they promise', limit, async () => {
  for (const seed of [2, 3, 4]) {
    const { violations, operations } = await runSeed({ seed, operations: 600 });
    assert.deepEqual(violations, [], `bin/node sim/main.ts --seed=${seed} --operations=600 --trace`);
    assert.ok(operations >= 600);
  }
});

test('one seed is one run, another seed another one', limit, async () => {
  const first = await runSeed({ seed: 11, operations: 400 });
  assert.equal((await runSeed({ seed: 11, operations: 400 })).hash, first.hash);
  assert.notEqual((await runSeed({ seed: 12, operations: 400 })).hash, first.hash);
});
