/** Watchers that come and go while changes happen, against the plain question of who wants what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyRange, Store } from '#mvcc/store.ts';
import { utf8Encode } from '#std/bytes.ts';
import { below, type Prng, seededPrng } from '#std/prng.ts';
import { WatchHub } from './hub.ts';
import { Watcher, type WatcherOwner } from './watcher.ts';

const plain = { noPut: false, noDelete: false, prevKv: false, fragment: false, progressNotify: false };
const key = (number: number) => utf8Encode(`k${number}`);
const keys = 6;

function drawRange(prng: Prng) {
  const from = below(prng, keys);
  const end = below(prng, 4) === 0 ? key(from + 1 + below(prng, 3)) : utf8Encode('');
  return keyRange(key(from), end);
}

test('each watcher is told what it wants, once, and nothing after it has left', () => {
  const prng = seededPrng(7);
  const hub = new WatchHub();
  const store = new Store();
  const told: string[] = [];
  const owner: WatcherOwner = {
    deliver: ({ id }, changes) => {
      for (const change of changes) told.push(`${id} ${change.key} ${change.main} ${change.tombstone}`);
    },
    lagging: () => told.push('lagging'),
  };
  const here: Watcher[] = [];
  for (let step = 0; step < 2000; step++) {
    const drawn = below(prng, 10);
    if (drawn < 3) {
      const flags = { ...plain, noPut: below(prng, 4) === 0, noDelete: below(prng, 4) === 0 };
      const watcher = new Watcher(owner, step, drawRange(prng), 0, store.revision + below(prng, 3), flags);
      here.push(watcher);
      hub.add(watcher);
    } else if (drawn < 6 && here.length > 0) {
      const [gone] = here.splice(below(prng, here.length), 1);
      hub.delete(gone!);
      // Once more changes nothing.
      hub.delete(gone!);
    }
    assert.equal(hub.watcherCount, here.length);
    store.beginWrite();
    if (below(prng, 3) === 0) store.deleteRange(drawRange(prng));
    else store.put(key(below(prng, keys)), utf8Encode('v'), 0n);
    const changes = store.endWrite();
    hub.notify(changes, -1);
    const wanted = here.flatMap((watcher) =>
      changes
        .filter((change) => watcher.wants(change, change.key))
        .map((change) => `${watcher.id} ${change.key} ${change.main} ${change.tombstone}`),
    );
    assert.deepEqual(told.splice(0).sort(), wanted.sort());
  }
  hub.storeReplaced(store.revision);
  assert.equal(hub.watcherCount, 0);
  assert.equal(hub.laggingCount, here.length);
  assert.deepEqual(
    told,
    here.map(() => 'lagging'),
  );
  assert.ok(here.every((watcher) => !watcher.synced && watcher.nextRevision > store.revision));
  const [back, gone] = here;
  hub.add(back!);
  assert.ok(back!.synced);
  hub.delete(gone!);
  hub.delete(gone!);
  assert.deepEqual([hub.watcherCount, hub.laggingCount], [1, here.length - 2]);
  hub.lag(back!);
  assert.deepEqual([hub.watcherCount, hub.laggingCount, back!.synced], [0, here.length - 1, false]);
});
