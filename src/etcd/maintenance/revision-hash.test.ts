/** Hashes of stores, with what upstream's etcd answers to `etcdctl endpoint hashkv` after the same calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyRange, Store } from '#mvcc/store.ts';
import { utf8Encode as bytes } from '#std/bytes.ts';
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

function compact(store: Store, revision: number): void {
  store.compact(revision);
  while (store.compactStep(1));
}

const hashOf = async (store: Store) => (await hashKv(store.fork(), 0)).hash;

test('after a compaction, keys that have gone since count unless they are all gone', async () => {
  const store = new Store();
  put(store, 'a', '1');
  put(store, 'a', '2');
  put(store, 'b', '1');
  remove(store, 'b');
  compact(store, 3);
  assert.equal(await hashOf(store), 2946905645);
  remove(store, 'a');
  assert.equal(await hashOf(store), 2470923722);
  put(store, 'a', '3');
  assert.equal(await hashOf(store), 1310953736);
  compact(store, 6);
  assert.equal(await hashOf(store), 1732811921);
});
