/** Needs git, which a machine with Node and npm alone has not: among the root suites for that. Every planted bug still fits the sources: a patch that no longer applies catches nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('..', import.meta.url).pathname;

test('every patch of sim/mutants applies', () => {
  const patches = readdirSync(`${root}sim/mutants`).filter((file) => file.endsWith('.patch'));
  assert.ok(patches.length >= 12);
  for (const patch of patches) {
    const { status, stderr } = spawnSync('git', ['apply', '--check', `sim/mutants/${patch}`], { cwd: root });
    assert.equal(status, 0, `${patch}: ${stderr}`);
  }
});
