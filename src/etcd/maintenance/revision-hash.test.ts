/** Hashes of stores and of compactions: what upstream's etcd answers to `etcdctl endpoint hashkv` after the same calls, and one way of making them against the other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyRange, Store } from '#mvcc/store.ts';
import { utf8Encode as bytes } from '#std/bytes.ts';
import { below, seededPrng } from '#std/prng.ts';
import { CompactionHashes } from './compaction-hashes.ts';
import { hashKv } from './hash-kv.ts';

function put(store: Store, key: string, value: string): void {
  store.beginWrite();
  store.put(bytes(key), bytes(value), 0n);
  store.endWrite();
}

function remove(store: Store, key: string): void {
  store.beginWrite();
  store.deleteRange(keyRange(bytes(key), new Uint8Array(0)));
  store.endWrite();
}

function compact(store: Store, revision: number, hashes?: CompactionHashes, versionsPerStep = 1): void {
  store.compact(revision);
  while (store.compactStep(versionsPerStep, hashes && ((at, before) => hashes.witness(at, before))));
}

const hashOf = async (store: Store) => (await hashKv(store.fork(), 0)).hash;

test("the reference's figures: after a compaction, keys that have gone since count unless they are all gone", async () => {
  const store = new Store();
  const hashes = new CompactionHashes();
  put(store, 'a', '1');
  put(store, 'a', '2');
  put(store, 'b', '1');
  remove(store, 'b');
  compact(store, 3, hashes);
  assert.deepEqual(hashes.at(3), { hash: 535221974, compactRevision: -1, hashRevision: 3 });
  assert.equal(await hashOf(store), 2946905645);
  remove(store, 'a');
  assert.equal(await hashOf(store), 2470923722);
  put(store, 'a', '3');
  assert.equal(await hashOf(store), 1310953736);
  compact(store, 6, hashes);
  assert.deepEqual(hashes.at(6), { hash: 837774439, compactRevision: 3, hashRevision: 6 });
  assert.equal(await hashOf(store), 1732811921);
});

describe('a hash made while compacting is that of the store just before', () => {
  for (let seed = 1; seed <= 20; seed++)
    test(`seed ${seed}`, async () => {
      const prng = seededPrng(seed);
      const hashes = new CompactionHashes();
      const store = new Store();
      put(store, 'always', 'there');
      for (let round = 0; round < 6; round++) {
        for (let i = 0; i < 60; i++) {
          const key = `k${below(prng, 12)}`;
          if (below(prng, 4) === 0) remove(store, key);
          else put(store, key, `${i}`.repeat(below(prng, 300)));
        }
        const revision = store.revision - below(prng, 30);
        const before = await hashKv(store.fork(), revision);
        // A fork that lives on, or none, must make no difference.
        const fork = below(prng, 2) === 0 ? store.fork() : undefined;
        compact(store, revision, hashes, 1 + below(prng, 20));
        assert.deepEqual(hashes.at(revision), before);
        if (fork !== undefined) assert.deepEqual(await hashKv(fork, revision), before);
      }
    });
});

describe('in the middle of a compaction, with forks about that need what it cuts, the hash is what it was and will be', () => {
  for (let seed = 1; seed <= 20; seed++)
    test(`seed ${seed}`, async () => {
      const prng = seededPrng(seed);
      const store = new Store();
      for (let i = 0; i < 80; i++) {
        const key = `k${below(prng, 8)}`;
        if (below(prng, 5) === 0) remove(store, key);
        else put(store, key, `${i}`);
      }
      const forks = [store.fork()];
      store.compact(store.revision - below(prng, 20));
      const before = await hashOf(store);
      while (store.compactStep(1 + below(prng, 4))) {
        if (below(prng, 3) === 0) forks.push(store.fork());
        assert.equal(await hashOf(store), before);
      }
      assert.equal(await hashOf(store), before);
      for (const fork of forks.slice(1)) assert.equal(await hashOf(fork), before);
    });
});

test('a compaction that was asked for while another was under way counts from the one asked for before it', async () => {
  const store = new Store();
  for (let i = 0; i < 20; i++) put(store, `k${i % 3}`, `${i}`);
  const twin = store.fork();
  const hashes = new CompactionHashes();
  const steps = () => store.compactStep(1, (at, before) => hashes.witness(at, before));
  store.compact(5);
  assert.ok(steps());
  store.compact(9);
  store.compact(15);
  while (steps());
  assert.deepEqual(
    hashes.newestFirst(-1).map(({ compactRevision, hashRevision }) => [compactRevision, hashRevision]),
    [
      [9, 15],
      [-1, 5],
    ],
  );
  const others = new CompactionHashes();
  for (const revision of [5, 9, 15]) compact(twin, revision, others);
  assert.deepEqual(others.at(15), hashes.at(15));
});

test('of a compaction that a stop has interrupted there is no hash: nobody knows what came before', () => {
  const store = new Store();
  for (let i = 0; i < 20; i++) put(store, 'k', `${i}`);
  const restored = new Store();
  for (const version of store.all()) restored.restore(version.main, version.sub, version.tombstone, version.record);
  restored.restored(-1, 5);
  const hashes = new CompactionHashes();
  while (restored.compactStep(1, (at, before) => hashes.witness(at, before)));
  assert.equal(restored.finishedCompactRevision, 5);
  assert.deepEqual(hashes.newestFirst(-1), []);
  compact(restored, 9, hashes);
  assert.equal(hashes.at(9)?.compactRevision, 5);
});

test('a hash far below the newest versions of a key does not go through them for each of its older ones', async () => {
  const store = new Store();
  const count = 2000;
  for (let i = 0; i < count; i++) put(store, 'hot', `${i}`);
  const later = Object.getPrototypeOf(store.newest('hot')) as object;
  const previous = Object.getOwnPropertyDescriptor(later, 'previous')!;
  let steps = 0;
  Object.defineProperty(later, 'previous', {
    ...previous,
    get() {
      steps++;
      return previous.get!.call(this) as unknown;
    },
  });
  try {
    await hashKv(store.fork(), count / 2);
  } finally {
    Object.defineProperty(later, 'previous', previous);
  }
  assert.ok(steps > 0 && steps <= count, `${steps}`);
});

test('ten are remembered', () => {
  const store = new Store();
  const hashes = new CompactionHashes();
  for (let i = 0; i < 15; i++) put(store, 'k', `${i}`);
  for (let revision = 2; revision < 14; revision++) compact(store, revision, hashes);
  assert.deepEqual(
    hashes.newestFirst(11).map(({ hashRevision }) => hashRevision),
    [13, 12],
  );
  assert.equal(hashes.newestFirst(-1).length, 10);
});

test('no step shows a witness more than its share of bytes, however large records are', () => {
  const store = new Store();
  for (let i = 0; i < 20; i++) put(store, 'k', 'x'.repeat(512 * 100));
  let bytesInStep = 0;
  const witness = {
    sees: ({ recordBytes }: { readonly recordBytes: number }) => {
      bytesInStep += recordBytes;
    },
    done() {},
  };
  store.compact(21);
  for (let more = true; more; bytesInStep = 0) {
    more = store.compactStep(150, () => witness);
    assert.ok(bytesInStep < 512 * 300);
  }
});
