/** The content store: only verified bytes get a name; what broke off is continued; what a crash left is put right. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '#host/clock.ts';
import { ContentStore, digestOf } from './content-store.ts';
import { openMetadataStore } from './metadata-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'wherry-content-'));
after(() => rmSync(folder, { recursive: true }));

async function open(name: string) {
  const metadata = await openMetadataStore(join(folder, name, 'meta'));
  return { metadata, content: await ContentStore.open(join(folder, name, 'content'), metadata, systemClock) };
}

test('a blob that broke off is continued where it stopped', async () => {
  const { content } = await open('resume');
  const digest = digestOf(Buffer.from('hello world'));
  {
    await using writer = await content.writer('r', digest);
    await writer.write(Buffer.from('hello '));
    await assert.rejects(content.writer('r'), { code: 'Unavailable', message: /^ref r locked since / });
  }
  await using writer = await content.writer('r', digest);
  assert.equal(writer.offset, 6);
  await writer.write(Buffer.from('world'));
  const info = await writer.commit({ size: 11, digest, labels: { a: 'b' } });
  assert.deepEqual([info.size, info.labels], [11, { a: 'b' }]);
  assert.equal((await content.readAll(digest, 100)).toString(), 'hello world');
  await assert.rejects(content.writer('other', digest), { code: 'AlreadyExists' });
  await assert.rejects(content.readAll(digest, 10), { code: 'OutOfRange' });
  await content.delete(digest);
  await assert.rejects(content.readAll(digest, 100), { code: 'NotFound', message: `content ${digest}: not found` });
});

test('the wrong size or digest publishes nothing and forgets the bytes', async () => {
  const { content } = await open('wrong');
  for (const expected of [{ size: 4 }, { digest: digestOf(Buffer.from('xyz')) }]) {
    await using writer = await content.writer('w');
    assert.equal(writer.offset, 0);
    await writer.write(Buffer.from('abc'));
    await assert.rejects(writer.commit(expected), { code: 'FailedPrecondition' });
  }
  assert.deepEqual(content.list(), []);
});

test('damage on disk is seen, and what nobody acknowledged is removed', async () => {
  const { content } = await open('damage');
  const digest = await content.put(Buffer.from('good'));
  const path = join(folder, 'damage/content/blobs/sha256', digest.slice(7));
  rmSync(path);
  writeFileSync(path, 'evil');
  await assert.rejects(content.readAll(digest, 10), { code: 'DataLoss' });
  writeFileSync(join(folder, 'damage/content/blobs/sha256', 'b'.repeat(64)), 'unknown');
  rmSync(path);
  assert.equal(await content.reconcile(), 2);
  assert.deepEqual(content.list(), []);
});
