/** The store against a slow, obvious twin that keeps every state as a map; then forks, compaction, and what hashes cover. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { below, type Prng, seededPrng } from '#std/prng.ts';
import { keyRange, Store } from './store.ts';
import type { Version } from './version.ts';

interface Entry {
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
}

/** All states by revision, and all changes. */
class Twin {
  states: Map<string, Entry>[] = [new Map(), new Map()];
  changes: { readonly main: number; readonly key: string; readonly value: string | undefined }[] = [];

  get revision(): number {
    return this.states.length - 1;
  }

  write(operations: readonly Operation[]): void {
    const main = this.revision + 1;
    const state = new Map(this.states.at(-1));
    const before = this.changes.length;
    for (const operation of operations) {
      if (operation.kind === 'put') {
        const old = state.get(operation.key);
        state.set(operation.key, {
          value: operation.value,
          create: old?.create ?? main,
          mod: main,
          version: (old?.version ?? 0) + 1,
        });
        this.changes.push({ main, key: operation.key, value: operation.value });
      } else {
        const keys = [...state.keys()].filter((key) => key >= operation.from && key < operation.to).sort();
        for (const key of keys) {
          state.delete(key);
          this.changes.push({ main, key, value: undefined });
        }
      }
    }
    if (this.changes.length > before) this.states.push(state);
  }

  fork(): Twin {
    const fork = new Twin();
    fork.states = this.states.slice();
    fork.changes = this.changes.slice();
    return fork;
  }
}

type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly from: string; readonly to: string };

const bytes = utf8Encode;

function apply(store: Store, operations: readonly Operation[]): readonly Version[] {
  store.beginWrite();
  for (const operation of operations)
    if (operation.kind === 'put') store.put(bytes(operation.key), bytes(operation.value), 0n);
    else store.deleteRange(keyRange(bytes(operation.from), bytes(operation.to)));
  return store.endWrite();
}

function finishCompaction(store: Store): void {
  while (store.compactStep(10));
}

function draw(prng: Prng, keys: number): Operation[] {
  return Array.from({ length: 1 + below(prng, 3) }, () => {
    const at = below(prng, keys);
    const key = `k${String(at).padStart(4, '0')}`;
    if (below(prng, 4) > 0) return { kind: 'put', key, value: `v${below(prng, 1000)}` };
    return { kind: 'delete', from: key, to: `k${String(at + below(prng, 5)).padStart(4, '0')}~` };
  });
}

function assertSame(store: Store, twin: Twin, prng: Prng, keys: number): void {
  assert.equal(store.revision, twin.revision);
  const lowest = Math.max(store.compactRevision, 1);
  for (const revision of [0, lowest, lowest + below(prng, twin.revision - lowest + 1)]) {
    const from = `k${String(below(prng, keys)).padStart(4, '0')}`;
    const to = below(prng, 3) === 0 ? '\0' : `k${String(below(prng, keys)).padStart(4, '0')}`;
    const limit = below(prng, 3) === 0 ? 1 + below(prng, 5) : 0;
    const wanted = [...twin.states.at(revision === 0 ? -1 : revision)!]
      .filter(([key]) => key >= from && (to === '\0' || key < to))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const range = keyRange(bytes(from), bytes(to));
    const found = store.range(range, { revision, limit });
    assert.equal(found.count, wanted.length);
    assert.equal(store.range(range, { revision, countOnly: true }).count, wanted.length);
    assert.deepEqual(
      found.versions.map((version) => {
        const { key, value, createRevision, modRevision, version: number } = version.keyValue();
        return [utf8Decode(key), utf8Decode(value), createRevision, modRevision, number];
      }),
      wanted
        .slice(0, limit === 0 ? undefined : limit)
        .map(([key, { value, create, mod, version }]) => [key, value, create, mod, version]),
    );
  }
}

function assertSameChanges(store: Store, twin: Twin, from: number): void {
  const wanted = twin.changes.filter(({ main }) => main >= from);
  const found: Version[] = [];
  for (let next = from; next <= store.revision; ) {
    const part = store.changes(next, store.revision, 7);
    found.push(...part.versions);
    next = part.next;
  }
  assert.deepEqual(
    found.map((version) => [
      version.main,
      version.key,
      version.tombstone ? undefined : utf8Decode(version.keyValue().value),
    ]),
    wanted.map(({ main, key, value }) => [main, key, value]),
  );
}

describe('against the twin', () => {
  for (const seed of [1, 2, 3, 4])
    test(`seed ${seed}: writes, reads, compactions and forks`, { timeout: 30_000 }, () => {
      const prng = seededPrng(seed);
      const keys = seed === 1 ? 20 : 400;
      let lines: [Store, Twin][] = [[new Store(), new Twin()]];
      for (let step = 0; step < 1200; step++) {
        const [store, twin] = lines[below(prng, lines.length)]!;
        const operations = draw(prng, keys);
        apply(store, operations);
        twin.write(operations);
        store.compactStep(below(prng, 20));
        assertSame(store, twin, prng, keys);
        if (below(prng, 60) === 0) {
          const revision = store.compactRevision + 1 + below(prng, store.revision - store.compactRevision);
          store.compact(revision);
          if (below(prng, 2) === 0) finishCompaction(store);
          for (const [each, its] of lines) assertSame(each, its, prng, keys);
          assertSameChanges(store, twin, Math.max(revision + 1, 2));
        }
        if (below(prng, 100) === 0) lines = [...lines.slice(-3), [store.fork(), twin.fork()]];
      }
      for (const [store] of lines) finishCompaction(store);
      for (const [store, twin] of lines) assertSame(store, twin, prng, keys);
      for (const [store, twin] of lines) assertSameChanges(store, twin, Math.max(store.compactRevision + 1, 2));
    });
});

test('a large tree counts, scans and shrinks', () => {
  const store = new Store();
  const total = 20_000;
  for (let i = 0; i < total; i++)
    apply(store, [{ kind: 'put', key: `n${String((i * 7919) % total).padStart(6, '0')}`, value: 'x' }]);
  assert.equal(store.range(keyRange(bytes('n'), bytes('o')), { limit: 10 }).count, total);
  assert.equal(store.range(keyRange(bytes('n000100'), bytes('n000200'))).versions.length, 100);
  apply(store, [{ kind: 'delete', from: 'n', to: 'n019990' }]);
  assert.equal(store.range(keyRange(bytes('a'), Uint8Array.of(0))).count, 10);
  const before = store.recordBytes;
  apply(store, [{ kind: 'put', key: 'z', value: 'x' }]);
  store.compact(store.revision);
  finishCompaction(store);
  assert.equal(store.keyCount, 11);
  assert.equal(store.versionCount, 11);
  assert.ok(store.recordBytes < before / 1000);
  assert.equal(store.range(keyRange(bytes('a'), Uint8Array.of(0))).count, 11);
});

test('revisions that are gone or not there yet are refused', () => {
  const store = new Store();
  for (let i = 0; i < 5; i++) apply(store, [{ kind: 'put', key: 'a', value: `${i}` }]);
  const one = keyRange(bytes('a'), bytes(''));
  store.compact(4);
  assert.throws(
    () => store.range(one, { revision: 3 }),
    (error) => isEtcdError(error, 'compacted'),
  );
  assert.throws(
    () => store.range(one, { revision: 7 }),
    (error) => isEtcdError(error, 'futureRevision'),
  );
  assert.throws(
    () => store.compact(4),
    (error) => isEtcdError(error, 'compacted'),
  );
  assert.throws(
    () => store.compact(7),
    (error) => isEtcdError(error, 'futureRevision'),
  );
  assert.equal(store.range(one, { revision: 4 }).versions[0]!.main, 4);
});

test('a delete at the revision of the compaction can still be watched', () => {
  const store = new Store();
  apply(store, [{ kind: 'put', key: 'a', value: '1' }]);
  apply(store, [{ kind: 'delete', from: 'a', to: 'b' }]);
  apply(store, [{ kind: 'put', key: 'b', value: '1' }]);
  store.compact(3);
  finishCompaction(store);
  assert.deepEqual(
    store.changes(3, 4, 10).versions.map(({ key, tombstone }) => [key, tombstone]),
    [
      ['a', true],
      ['b', false],
    ],
  );
  store.compact(4);
  finishCompaction(store);
  assert.equal(store.versionCount, 1);
});

test('a value larger than a segment, and a write without a change', () => {
  const store = new Store();
  apply(store, [{ kind: 'put', key: 'big', value: 'x'.repeat(1 << 20) }]);
  assert.equal(store.get('big')!.keyValue().value.length, 1 << 20);
  const { revision } = store;
  assert.equal(apply(store, [{ kind: 'delete', from: 'c', to: 'd' }]).length, 0);
  assert.equal(store.revision, revision);
});

test('a compaction far below the newest of many versions, some of which a fork shares', () => {
  const store = new Store();
  const put = (target: Store, value: string) => apply(target, [{ kind: 'put', key: 'hot', value }]);
  const writes = 300;
  for (let i = 0; i < writes; i++) put(store, `${i}`);
  const fork = store.fork();
  for (let i = writes; i < 2 * writes; i++) put(store, `${i}`);
  const at = 100;
  store.compact(at);
  // A piece at a time, with writes of both in between.
  let more = 0;
  while (store.compactStep(7)) {
    put(store, `more ${more++}`);
    put(fork, 'the fork’s own');
  }
  const one = keyRange(bytes('hot'), bytes(''));
  const valueAt = (target: Store, revision: number) =>
    utf8Decode(target.range(one, { revision }).versions[0]!.keyValue().value);
  // The first write makes revision 2.
  for (const revision of [at, 250, 301, 302, 600]) assert.equal(valueAt(store, revision), `${revision - 2}`);
  for (const revision of [2, at, 301]) assert.equal(valueAt(fork, revision), `${revision - 2}`);
  assert.equal(valueAt(fork, 302), 'the fork’s own');
  assert.equal(store.versionCount, 2 * writes + 2 - at + more);
  assert.equal(fork.versionCount, writes + more);
  // What is in the log is what is in the chain: a record is kept once.
  let version = store.newest('hot');
  for (const logged of [...store.all()].reverse()) {
    assert.equal(logged, version);
    version = version!.previous;
  }
  assert.equal(version, undefined);
});
