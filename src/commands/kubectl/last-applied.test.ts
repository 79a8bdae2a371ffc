/** The annotation of apply, as upstream's kubectl 1.36 writes it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { lastApplied, withLastApplied } from './last-applied.ts';

test('keys in order, the namespace in it, HTML escaped, the annotation itself left out', () => {
  const metadata = { name: 'a', annotations: { [lastApplied]: 'old' } };
  const manifest = { kind: 'ConfigMap', apiVersion: 'v1', metadata, data: { z: '<&>', a: '1' } };
  assert.equal(
    withLastApplied(manifest, 'default').metadata.annotations?.[lastApplied],
    '{"apiVersion":"v1","data":{"a":"1","z":"\\u003c\\u0026\\u003e"},"kind":"ConfigMap","metadata":{"annotations":{},"name":"a","namespace":"default"}}\n',
  );
});
