/** The reference is as the table of the surface says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordedSurface, referenceColumn } from './surface.ts';

test('the reference is as the table says', { timeout: 120_000 }, async () => {
  const rows = recordedSurface().filter(({ reference }) => reference !== 'absent');
  const recorded = Object.fromEntries(rows.map(({ kind, name, reference }) => [`${kind} ${name}`, reference]));
  const ours = new Map(
    recordedSurface()
      .filter((row) => row.ours !== 'absent')
      .map((row) => [`${row.kind} ${row.name}`, row.ours]),
  );
  const found = [...(await referenceColumn(ours))].filter(([, value]) => value !== 'absent');
  assert.deepEqual(Object.fromEntries(found), recorded);
});
