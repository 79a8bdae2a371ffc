/** The metadata store: what was acknowledged is there after any crash; what was torn is not, and hurts nothing. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openMetadataStore } from './metadata-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'wherry-metadata-'));
after(() => rmSync(folder, { recursive: true }));

test('what was committed is there after opening again, and deleted keys are not', async () => {
  const path = join(folder, 'plain');
  {
    await using store = await openMetadataStore(path);
    const first = store.commit([{ bucket: 'images', key: 'a', value: { size: 1 } }]);
    assert.deepEqual(store.get('images', 'a'), { size: 1 }, 'visible at once');
    await Promise.all([
      first,
      store.commit([
        { bucket: 'images', key: 'b', value: 'ü\n' },
        { bucket: 'leases', key: 'l', value: [1, null] },
      ]),
      store.commit([{ bucket: 'images', key: 'a', value: undefined }]),
    ]);
  }
  await using store = await openMetadataStore(path);
  assert.deepEqual([...store.entries('images')], [['b', 'ü\n']]);
  assert.deepEqual(store.get('leases', 'l'), [1, null]);
});

test('a log cut at any byte gives a prefix of the commits, and goes on from there', async () => {
  const path = join(folder, 'torn');
  {
    await using store = await openMetadataStore(path);
    for (let i = 0; i < 4; i++) await store.commit([{ bucket: 'n', key: String(i), value: i }]);
  }
  const log = readFileSync(join(path, 'metadata.log'));
  for (let length = log.length; length >= 0; length -= 7) {
    truncateSync(join(path, 'metadata.log'), length);
    await using store = await openMetadataStore(path);
    const whole = log.subarray(0, length).filter((byte) => byte === 0x0a).length;
    assert.deepEqual([...store.entries('n').values()], [0, 1, 2, 3].slice(0, whole));
  }
  {
    await using store = await openMetadataStore(path);
    await store.commit([{ bucket: 'n', key: 'again', value: true }]);
  }
  appendFileSync(join(path, 'metadata.log'), '00000000 [9,[["n","bad",1]]]\n');
  await using store = await openMetadataStore(path);
  assert.deepEqual([...store.entries('n').keys()], ['again']);
});

test('a long log is folded into the snapshot', async () => {
  const path = join(folder, 'folded');
  const value = 'x'.repeat(1000);
  {
    await using store = await openMetadataStore(path);
    await Promise.all(Array.from({ length: 1500 }, (_, i) => store.commit([{ bucket: 'b', key: `${i % 10}`, value }])));
    await store.commit([{ bucket: 'b', key: 'last', value: 1 }]);
  }
  assert.ok(readFileSync(join(path, 'metadata.log')).length < 1 << 20);
  await using store = await openMetadataStore(path);
  assert.equal(store.entries('b').size, 11);
});

test('a damaged snapshot is refused, and named', async () => {
  const path = join(folder, 'damaged');
  mkdirSync(path);
  writeFileSync(join(path, 'metadata.json'), '{"version":1,"sequ');
  await assert.rejects(
    openMetadataStore(path),
    /metadata\.json is damaged \(.*\); put a copy back, or remove its folder/,
  );
});
