/** Shared informers: one request stream for each resource and selection, however many ask. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { header } from '#transport/http.ts';
import { createKubeClient } from './client.ts';
import { createInformerFactory } from './informer-factory.ts';

test('whole objects and metadata alone are two informers; the same selection is one', { timeout: 5000 }, async () => {
  const clock = new VirtualClock();
  const lists: string[] = [];
  const client = createKubeClient({
    clock,
    prng: seededPrng(1),
    fetch: async ({ target, headers, signal }) => {
      if (target.includes('watch=true')) return { status: 200, headers: [], body: silence(signal) };
      lists.push(header(headers, 'accept')!.includes('as=PartialObjectMetadataList') ? 'metadata' : 'whole');
      const body = { kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [] };
      return { status: 200, headers: [], body: utf8Encode(JSON.stringify(body)) };
    },
  });
  const factory = createInformerFactory({ client, clock, prng: seededPrng(2), log: () => {} });
  const pods = { group: '', version: 'v1', resource: 'pods', namespaced: true };
  const whole = factory.informer(pods);
  assert.equal(factory.informer(pods), whole);
  assert.notEqual(factory.informer(pods, { metadataOnly: true }), whole);
  await factory.synced();
  assert.deepEqual(lists.sort(), ['metadata', 'whole']);
  await factory[Symbol.asyncDispose]();
  assert.equal(clock.pending, 0);
});

/** A watch on which nothing happens until it is closed. */
async function* silence(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
