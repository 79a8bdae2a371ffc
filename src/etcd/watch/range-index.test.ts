/** The index against looking at every range. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, seededPrng } from '#std/prng.ts';
import { RangeIndex } from './range-index.ts';

test('a key finds the members of exactly the ranges that hold it', () => {
  const prng = seededPrng(4);
  const key = () => `k${String(below(prng, 60)).padStart(2, '0')}`;
  const index = new RangeIndex<number>();
  const members: { from: string; to: string | undefined; id: number }[] = [];
  for (let step = 0; step < 4000; step++) {
    if (below(prng, 3) > 0 || members.length === 0) {
      const [a, b] = [key(), key()].sort() as [string, string];
      const member = { from: a, to: below(prng, 6) === 0 ? undefined : `${b}~`, id: step };
      members.push(member);
      index.add(member, member.id);
    } else {
      const [member] = members.splice(below(prng, members.length), 1);
      index.delete(member!, member!.id);
    }
    if (members.length > 60) for (const member of members.splice(0, 30)) index.delete(member, member.id);
    const wanted = key();
    const found: number[] = [];
    index.visit(wanted, (id) => found.push(id));
    assert.deepEqual(
      found.sort((a, b) => a - b),
      members
        .filter(({ from, to }) => from <= wanted && (to === undefined || wanted < to))
        .map(({ id }) => id)
        .sort((a, b) => a - b),
    );
    assert.equal(index.size, members.length);
  }
});
