/** Leases and the keys on them, and their forks: what each sees of the other, and what making one costs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { below, seededPrng } from '#std/prng.ts';
import { Leases } from './leases.ts';

function stateOf(leases: Leases): Record<string, readonly [ttl: number, ...keys: string[]]> {
  return Object.fromEntries([...leases.all()].map(({ id, ttl, keys }) => [`${id}`, [ttl, ...keys]]));
}

test('a key hangs on the lease it was given last, on none, or on none that is gone', () => {
  const leases = new Leases();
  leases.grant(1n, 10);
  leases.grant(-2n, 20);
  for (const key of ['b', 'a']) leases.attach(key, 1n);
  leases.attach('b', -2n);
  leases.attach('c', 3n);
  assert.deepEqual(stateOf(leases), { 1: [10, 'a'], '-2': [20, 'b'] });
  leases.attach('b', 0n);
  leases.remove(leases.get(1n)!);
  leases.attach('a', 1n);
  assert.deepEqual(stateOf(leases), { '-2': [20] });
  assert.throws(
    () => leases.grant(-2n, 1),
    (error) => isEtcdError(error, 'leaseExists'),
  );
});

test('forks see nothing of each other', () => {
  const prng = seededPrng(3);
  let all = [{ leases: new Leases(), twin: new Map<bigint, Set<string>>() }];
  for (let step = 0; step < 5000; step++) {
    const { leases, twin } = all[below(prng, all.length)]!;
    const id = BigInt(1 + below(prng, 20));
    const key = `k${below(prng, 200)}`;
    switch (below(prng, 8)) {
      case 0:
        if (!twin.has(id)) {
          leases.grant(id, 10);
          twin.set(id, new Set());
        }
        break;
      case 1: {
        const lease = leases.get(id);
        if (lease === undefined) break;
        leases.remove(lease);
        twin.delete(id);
        break;
      }
      default:
        for (const keys of twin.values()) keys.delete(key);
        twin.get(id)?.add(key);
        leases.attach(key, id);
    }
    if (below(prng, 100) === 0)
      all.push({ leases: leases.fork(), twin: new Map([...twin].map(([each, keys]) => [each, new Set(keys)])) });
    if (all.length > 4) all = all.slice(1);
  }
  for (const { leases, twin } of all)
    assert.deepEqual(
      stateOf(leases),
      Object.fromEntries([...twin].map(([id, keys]) => [`${id}`, [10, ...[...keys].sort()]])),
    );
});

/** Items that `work` copies: in pieces of arrays, or one by one into maps and sets. */
function copiesOf(work: () => void): number {
  const { slice } = Array.prototype;
  const { set } = Map.prototype;
  const { add } = Set.prototype;
  let copied = 0;
  Array.prototype.slice = function (this: unknown[], ...range) {
    const piece = slice.apply(this, range);
    copied += piece.length;
    return piece;
  };
  Map.prototype.set = function (key, value) {
    copied++;
    return set.call(this, key, value);
  };
  Set.prototype.add = function (value) {
    copied++;
    return add.call(this, value);
  };
  try {
    work();
  } finally {
    Array.prototype.slice = slice;
    Map.prototype.set = set;
    Set.prototype.add = add;
  }
  return copied;
}

test('a fork copies nothing, and the first write after it no more than paths from roots, however many keys there are', () => {
  for (const keyCount of [100, 100_000]) {
    const leases = new Leases();
    leases.grant(1n, 10);
    for (let i = 0; i < keyCount; i++) leases.attach(`k${i}`, 1n);
    let fork = leases;
    assert.equal(
      copiesOf(() => {
        fork = leases.fork();
      }),
      0,
    );
    const written = copiesOf(() => fork.attach('k7', 0n));
    // Three nodes of at most 65 keys and as many values, in each of two trees, and the one of leases.
    assert.ok(written > 0 && written <= 2 * 3 * 130 + 2, `${written}`);
    assert.equal([...leases.get(1n)!.keys].length, keyCount);
    assert.equal([...fork.get(1n)!.keys].length, keyCount - 1);
  }
});
