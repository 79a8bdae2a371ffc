/** The tree against maps, forks among forks; and what a fork and the writes after it copy. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { below, seededPrng } from './prng.ts';
import { SharedTree } from './shared-tree.ts';

function check(tree: SharedTree<number>, twin: ReadonlyMap<string, number>): void {
  const keys = [...twin.keys()].sort();
  assert.deepEqual([...tree.keys()], keys);
  assert.deepEqual(
    [...tree.values()],
    keys.map((key) => twin.get(key)),
  );
  assert.equal(tree.size, twin.size);
}

describe('as a map, and its forks as copies', () => {
  for (let seed = 1; seed <= 10; seed++)
    test(`seed ${seed}`, () => {
      const prng = seededPrng(seed);
      let all: { readonly tree: SharedTree<number>; readonly twin: Map<string, number> }[] = [
        { tree: new SharedTree(), twin: new Map() },
      ];
      for (let step = 0; step < 6000; step++) {
        const one = all[below(prng, all.length)]!;
        const { tree, twin } = one;
        const key = `${below(prng, 1500)}`;
        // Mostly grows, then mostly shrinks.
        if (below(prng, 6000) > step) {
          tree.set(key, step);
          twin.set(key, step);
        } else {
          tree.delete(key);
          twin.delete(key);
        }
        assert.equal(tree.get(key), twin.get(key));
        assert.equal(tree.has(key), twin.has(key));
        if (below(prng, 400) === 0) all.push({ tree: tree.fork(), twin: new Map(twin) });
        if (all.length > 4) all = all.slice(1);
        if (step % 1000 === 0) for (const each of all) check(each.tree, each.twin);
      }
      for (const each of all) check(each.tree, each.twin);
    });
});

test('keys that come in order fill their nodes, and all can go', () => {
  const tree = new SharedTree<number>();
  const keys = Array.from({ length: 10_000 }, (_, i) => String(i).padStart(5, '0'));
  for (const [i, key] of keys.entries()) tree.set(key, i);
  assert.deepEqual([...tree.keys()], keys);
  for (const key of keys.reverse()) tree.delete(key);
  assert.deepEqual([...tree.keys()], []);
  tree.set('a', 1);
  assert.equal(tree.get('a'), 1);
});
