/** What apply sends: removals by name, others' fields left alone. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { patchSchemaOf } from '#kube-machinery/built-in-schemas.ts';
import { applyStrategicMergePatch } from '#kube-machinery/strategic-merge-patch.ts';
import { threeWayPatch } from './three-way-patch.ts';

const schema = patchSchemaOf({ group: '', version: 'v1', kind: 'Pod' });

test('what the manifest no longer says goes, what others said stays', () => {
  const last = {
    metadata: { labels: { a: '1', b: '2' } },
    spec: { containers: [{ name: 'x', image: 'x:1' }, { name: 'y' }] },
  };
  const wanted = { metadata: { labels: { a: '3' } }, spec: { containers: [{ name: 'x', image: 'x:2' }] } };
  const live = {
    metadata: { labels: { a: '1', b: '2', c: 'of others' } },
    spec: { containers: [{ name: 'x', image: 'x:1', tty: true }, { name: 'y' }, { name: 'injected' }] },
  };
  assert.deepEqual(
    applyStrategicMergePatch(live, threeWayPatch(last, wanted, schema) as Record<string, unknown>, schema),
    {
      metadata: { labels: { a: '3', c: 'of others' } },
      spec: { containers: [{ name: 'x', image: 'x:2', tty: true }, { name: 'injected' }] },
    },
  );
});
