/** Keys stand in the records alone: whatever their bytes and lengths, they are found, and come in the order of their bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyValue } from '#api-etcd/gen/kv.ts';
import { below, randomBytes, seededPrng } from '#std/prng.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { keyRange, Store } from './store.ts';
import { keyOf } from './version.ts';

const nothing = Buffer.alloc(0);
const everything = keyRange(Buffer.of(0), Buffer.of(0));

test('keys that begin alike, end in any byte and are as long as they like', () => {
  const prng = seededPrng(11);
  const store = new Store();
  const wanted = new Map<string, Buffer>();
  const stems = [nothing, Buffer.alloc(126, 'a'), Buffer.alloc(16_383, 'b'), Buffer.of(0xff, 0x80, 0)];
  for (let i = 0; i < 3000; i++) {
    const stem = stems[below(prng, stems.length)]!;
    const key = Buffer.concat([stem, Buffer.from(randomBytes(prng, 1 + below(prng, 3)))]);
    const value = Buffer.from(String(i));
    store.beginWrite();
    store.put(key, value, 0n);
    store.endWrite();
    wanted.set(keyOf(key), value);
  }
  const ordered = [...wanted.keys()].sort();
  const inStore = (from: Store) => from.range(everything).versions.map(({ key }) => key);
  assert.deepEqual(inStore(store), ordered);
  for (const [key, value] of wanted) assert.deepEqual(store.get(key)!.keyValue().value, value);
  assert.equal(store.get(`${ordered[500]}\0\0`), undefined);
  // What is left out of a file and what is read back from one.
  const again = new Store();
  for (const { main, sub, tombstone, record } of store.all()) again.restore(main, sub, tombstone, Buffer.from(record));
  assert.deepEqual(inStore(again), ordered);
  store.compact(store.revision);
  while (store.compactStep(100));
  assert.deepEqual(inStore(store), ordered);
  assert.equal(store.versionCount, ordered.length);
});

test('an empty record has the empty key; one that does not begin with its key is refused', () => {
  const store = new Store();
  store.restore(5, 0, false, nothing);
  assert.equal(store.newest('')!.main, 5);
  assert.equal(store.newest('')!.record.length, 0);
  const backwards = Buffer.concat([
    KeyValue.encode(KeyValue.create({ version: 1 })),
    KeyValue.encode(KeyValue.create({ key: Buffer.from('a') })),
  ]);
  assert.throws(() => store.restore(6, 0, false, backwards), ProtobufError);
  store.compact(5);
  while (store.compactStep(100));
  assert.equal(store.newest('')!.key, '');
});
