/** The table of the surface is of today, has no empty cell, and gives a reason wherever we are not as the reference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oursColumn, recordedSurface } from './surface.ts';

const timeout = 60_000;

test('ours is as the table says', { timeout }, async () => {
  const rows = recordedSurface();
  const ours = await oursColumn();
  const recorded = new Map(
    rows.filter((row) => row.ours !== 'absent').map((row) => [`${row.kind} ${row.name}`, row.ours]),
  );
  assert.deepEqual(Object.fromEntries(ours), Object.fromEntries(recorded));
});

test('no cell is empty, no difference without a reason', () => {
  for (const { kind, name, reference, ours, reason } of recordedSurface()) {
    assert.ok(reference !== '' && ours !== '', `${kind} ${name}`);
    assert.equal(reason !== undefined, reference !== ours, `${kind} ${name}: ${reference}, ${ours}`);
  }
});
