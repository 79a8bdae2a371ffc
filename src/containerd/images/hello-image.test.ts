/** The built-in image names each applet that its program has, and no other. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { helloApplets } from './hello-image.ts';

const native = new URL('../../../native/', import.meta.url);

test('the links of the image are the applets of the program', () => {
  const source = readFileSync(new URL('hello/main.c', native), 'utf8');
  const names = [...source.matchAll(/\{"([^"]+)", \w+_main\}/g)].map(([, name]) => name!);
  assert.deepEqual(names.filter((name) => name !== 'hello').sort(), [...helloApplets].sort());
});

test('the program is small', () => {
  for (const arch of ['x64', 'arm64'])
    assert.ok(statSync(new URL(`bin/wherry-hello-${arch}`, native)).size < 300_000, arch);
});
