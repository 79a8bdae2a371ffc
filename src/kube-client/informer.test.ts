/** Work queue, reflector and informer under virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { createKubeClient } from './client.ts';
import { createEventRecorder } from './event-recorder.ts';
import { InformerStore } from './informer.ts';
import type { ApiObject } from './resource-ref.ts';
import { backoffMaxMs, WorkQueue } from './work-queue.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const pods = { group: '', version: 'v1', resource: 'pods', namespaced: true };
const pod = (name: string, resourceVersion: string, labels: Record<string, string> = {}, uid = name): ApiObject => ({
  metadata: { name, namespace: 'default', uid, resourceVersion, labels },
});

test('a key waits once, and again after it was worked on', async () => {
  using queue = new WorkQueue(new VirtualClock());
  queue.add('a');
  queue.add('a');
  queue.add('b');
  assert.equal(await queue.take(), 'a');
  queue.add('a');
  assert.equal(queue.length, 1);
  assert.equal(await queue.take(), 'b');
  queue.done('a');
  assert.equal(await queue.take(), 'a');
  queue.done('a');
  queue.done('b');
  assert.equal(queue.idle, true);
});

test('a failing key backs off up to a limit; closing lets waiting workers go', async () => {
  const clock = new VirtualClock();
  const queue = new WorkQueue(clock);
  const delays: number[] = [];
  for (let i = 0; i < 30; i++) {
    queue.addRateLimited('a');
    const delay = clock.nextInMs!;
    delays.push(delay);
    await clock.advance(delay, settle);
    queue.done((await queue.take())!);
  }
  assert.deepEqual(delays.slice(0, 4), [5, 10, 20, 40]);
  assert.equal(delays.at(-1), backoffMaxMs);
  queue.forget('a');
  queue.addRateLimited('a');
  assert.equal(clock.nextInMs, 5);
  const waiting = queue.take();
  queue[Symbol.dispose]();
  assert.equal(await waiting, undefined);
  assert.equal(clock.pending, 0);
});

test('of several times for a key the earliest counts', async () => {
  const clock = new VirtualClock();
  using queue = new WorkQueue(clock);
  queue.addAfter('a', 1000);
  queue.addAfter('a', 10);
  queue.addAfter('a', 500);
  await clock.advance(10, settle);
  assert.equal(queue.length, 1);
  await clock.advance(2000, settle);
  assert.equal(queue.length, 1);
});

test('an informer survives a forgotten revision: it lists anew and tells what changed meanwhile', async () => {
  const clock = new VirtualClock();
  const lists = [
    { metadata: { resourceVersion: '10' }, items: [pod('a', '1', { app: 'x' }), pod('b', '2')] },
    { metadata: { resourceVersion: '20' }, items: [pod('a', '15', { app: 'y' }), pod('c', '16')] },
  ];
  const watches = [
    [
      { type: 'ADDED', object: pod('d', '11', { app: 'x' }) },
      { type: 'BOOKMARK', object: { metadata: { resourceVersion: '12' } } },
      { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } },
    ],
    [{ type: 'DELETED', object: pod('c', '21') }],
  ];
  const targets: string[] = [];
  const client = createKubeClient({
    fetch: async ({ target, signal }) => {
      targets.push(target.replace(/&timeoutSeconds=\d+/, ''));
      if (!target.includes('watch='))
        return { status: 200, headers: [], body: Buffer.from(JSON.stringify(lists.shift())) };
      const events = watches.shift()!;
      return {
        status: 200,
        headers: [],
        body: (async function* () {
          for (const event of events) yield Buffer.from(`${JSON.stringify(event)}\n`);
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        })(),
      };
    },
    clock,
    prng: seededPrng(1),
  });
  const store = new InformerStore<ApiObject>();
  store.addIndex('app', ({ metadata }) => (metadata.labels?.['app'] === undefined ? [] : [metadata.labels['app']]));
  const seen: string[] = [];
  store.addHandlers({
    added: ({ metadata }) => seen.push(`+${metadata.name}`),
    updated: (before, after) => seen.push(`~${before.metadata.name}${after.metadata.resourceVersion}`),
    deleted: ({ metadata }) => seen.push(`-${metadata.name}`),
  });
  const aborter = new AbortController();
  const ran = store.run({
    client: client.resource(pods),
    clock,
    prng: seededPrng(1),
    onError: (error) => assert.fail(String(error)),
    signal: aborter.signal,
  });
  await store.synced;
  await settle();
  assert.deepEqual(seen, ['+a', '+b', '+d']);
  assert.deepEqual(
    store.byIndex('app', 'x').map(({ metadata }) => metadata.name),
    ['a', 'd'],
  );
  await clock.advance(1000, settle);
  assert.deepEqual(seen.slice(3), ['-b', '-d', '~a15', '+c', '-c']);
  assert.deepEqual(store.byIndex('app', 'x'), []);
  assert.deepEqual(
    store.list().map(({ metadata }) => metadata.name),
    ['a'],
  );
  assert.deepEqual(targets, [
    '/api/v1/pods?resourceVersion=0&limit=500',
    '/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=10',
    '/api/v1/pods?limit=500',
    '/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=20',
  ]);
  aborter.abort(new Error('done'));
  await ran;
  assert.equal(clock.pending, 0);
});

test('the same thing said again counts up one event; what one object may say is limited', async () => {
  const clock = new VirtualClock();
  const written: string[] = [];
  const client = createKubeClient({
    fetch: async ({ method, target, body }) => {
      const sent = JSON.parse(Buffer.concat(await Array.fromAsync(body)).toString()) as {
        count: number;
        message?: string;
      };
      written.push(`${method} ${sent.message ?? ''} ${sent.count}`);
      assert.match(target, /^\/api\/v1\/namespaces\/default\/events/);
      const { name } = (sent as { metadata?: { name: string } }).metadata ?? { name: 'n' };
      return { status: 200, headers: [], body: Buffer.from(JSON.stringify({ ...sent, metadata: { name } })) };
    },
    clock,
    prng: seededPrng(1),
  });
  await using recorder = createEventRecorder({ client, clock, component: 'tester', log: assert.fail });
  for (const version of ['1', '2', '3'])
    recorder.event({ kind: 'Pod', apiVersion: 'v1', ...pod('a', version) }, 'Warning', 'FailedScheduling', 'no room');
  await settle();
  await settle();
  assert.deepEqual(written.splice(0), ['POST no room 1', 'PATCH  2', 'PATCH  3']);
  for (let i = 0; i < 100; i++) recorder.event({ kind: 'Pod', name: 'b' }, 'Normal', 'Said', String(i));
  for (let i = 0; i < 200; i++) await settle();
  assert.equal(written.length, 25);
});
