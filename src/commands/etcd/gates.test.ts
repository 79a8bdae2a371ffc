/** Features: what turns them on, and who may not say it twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings, type Settings } from './settings.ts';

const settingsOf = (...args: string[]): Settings =>
  readSettings({ args, env: {}, readFile: () => assert.fail(), warn: () => assert.fail() });

test('a feature is on by its gate, by its flag of 3.5, or with all of its stage; its own word counts most', () => {
  const isOn = (...args: string[]) => settingsOf(...args).gate('InitialCorruptCheck');
  assert.equal(isOn(), false);
  assert.equal(isOn('--feature-gates=InitialCorruptCheck=true'), true);
  assert.equal(isOn('--experimental-initial-corrupt-check'), true);
  assert.equal(isOn('--feature-gates=AllAlpha=true'), true);
  assert.equal(isOn('--feature-gates=AllBeta=true'), false);
  assert.equal(isOn('--feature-gates=AllAlpha=true,InitialCorruptCheck=false'), false);
  assert.equal(settingsOf('--feature-gates=AllBeta=false').gate('FastLeaseKeepAlive'), false);
});

test('by both its gate and its flag is refused, in the words of upstream', () => {
  assert.throws(
    () => settingsOf('--feature-gates=CompactHashCheck=true', '--experimental-compact-hash-check-enabled=false'),
    {
      message:
        'cannot specify both flags: --experimental-compact-hash-check-enabled=false and --feature-gates=CompactHashCheck=true at the same time, please just use --feature-gates=CompactHashCheck=true',
    },
  );
});
