/** A damaged layout is a line that names the file, whatever command meets it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { clusterPaths } from '#cluster/paths.ts';
import { Scope } from '#std/scope.ts';
import { layoutOf } from './cluster-layout.ts';
import { CommandError, ExitCode } from './command.ts';

test('a layout that cannot be read is a line with its file', async () => {
  await using scope = new Scope();
  const home = mkdtempSync(join(tmpdir(), 'layout-'));
  scope.defer(() => rmSync(home, { recursive: true }));
  const paths = clusterPaths('x', { root: false, home });
  mkdirSync(paths.data, { recursive: true });
  assert.equal(await layoutOf(paths), undefined);
  const path = join(paths.data, 'control-planes.json');
  writeFileSync(path, '{"controlPlanes":');
  await assert.rejects(
    layoutOf(paths),
    (error) =>
      error instanceof CommandError && error.exitCode === ExitCode.failed && error.message.startsWith(`${path}: `),
  );
});
