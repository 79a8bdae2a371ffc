/** Go's flag grammar. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlagError, parseGoDuration, parseGoFlags } from './go-flags.ts';

const known = new Set(['name', 'data-dir']);
const booleans = new Set(['version']);

test('one dash or two, with and without the equals sign', () => {
  const { values, rest } = parseGoFlags(
    ['-name', 'a', '--data-dir=x=y', '--version', 'gateway', '-z'],
    known,
    booleans,
  );
  assert.deepEqual(
    [...values],
    [
      ['name', 'a'],
      ['data-dir', 'x=y'],
      ['version', 'true'],
    ],
  );
  assert.deepEqual(rest, ['gateway', '-z']);
});

test('what is wrong is said in the words of Go', () => {
  assert.throws(() => parseGoFlags(['--nope'], known, booleans), /^FlagError: flag provided but not defined: -nope$/);
  assert.throws(() => parseGoFlags(['--name'], known, booleans), /flag needs an argument: -name/);
  assert.throws(() => parseGoFlags(['--version=maybe'], known, booleans), FlagError);
});

test('durations', () => {
  assert.equal(parseGoDuration('x', '1m30s'), 90_000);
  assert.equal(parseGoDuration('x', '1.5h'), 5_400_000);
  assert.equal(parseGoDuration('x', '0'), 0);
  assert.throws(() => parseGoDuration('x', '5'), FlagError);
});
