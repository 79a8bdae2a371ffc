/** The list beside arrays: forks that both add, at the edges of the pieces it is made of and between them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedLog } from './shared-log.ts';

const lengths = [0, 1, 4095, 4096, 4097, 8192, 10_000];

function contents(log: SharedLog<number>): number[] {
  return Array.from({ length: log.length }, (_, i) => log.at(i));
}

for (const length of lengths)
  test(`forks of ${length} items go on as if they were copies`, () => {
    const log = new SharedLog<number>();
    const items = Array.from({ length }, (_, i) => i);
    for (const item of items) log.push(item);
    const fork = log.fork();
    const untouched = log.fork();
    // Past the end of a piece, by turns: each must find that the other was there first.
    const ours = [...items];
    const theirs = [...items];
    for (let i = 0; i < 5000; i++) {
      fork.push(-i - 1);
      theirs.push(-i - 1);
      log.push(length + i);
      ours.push(length + i);
    }
    const second = fork.fork();
    second.push(7);
    assert.deepEqual(contents(log), ours);
    assert.deepEqual(contents(fork), theirs);
    assert.deepEqual(contents(second), [...theirs, 7]);
    assert.deepEqual(contents(untouched), items);
  });

test('the first item that passes is found across pieces', () => {
  const log = new SharedLog<number>();
  for (let i = 0; i < 10_000; i++) log.push(i * 2);
  for (const wanted of [-1, 0, 1, 8191, 8192, 19_998])
    assert.equal(
      log.indexWhere((item) => item >= wanted),
      Math.max(0, Math.ceil(wanted / 2)),
    );
  assert.equal(
    log.indexWhere(() => false),
    10_000,
  );
});
