/** Bars as the user sets them, and those that are none. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseFlags } from '../../flags.ts';
import { thresholdFlags, thresholdsOf } from './thresholds.ts';

const of = (...args: readonly string[]) => thresholdsOf(parseFlags(args, thresholdFlags));

test('units are taken as they are written', () => {
  const { maxFsyncSeconds, quotaWarnRatio, maxBackupAgeMs, maxRaftLag } = of(
    ...['--max-fsync', '5ms', '--quota-warn=12.5', '--max-backup-age', '1h30m', '--max-raft-lag', '7'],
  );
  assert.deepEqual([maxFsyncSeconds, quotaWarnRatio, maxBackupAgeMs, maxRaftLag], [0.005, 0.125, 5_400_000, 7]);
});

test('what is no bar is named with its flag', () => {
  for (const [flag, value] of [
    ['quota-warn', '101'],
    ['quota-fail', '-1'],
    ['max-raft-lag', 'many'],
    ['max-fsync', '10'],
    ['min-cert-validity', '30d'],
  ] as const)
    assert.throws(() => of(`--${flag}`, value), new RegExp(`"${value}" for "--${flag}"`));
});
