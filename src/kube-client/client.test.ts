/** The client against scripted answers of a server: paths, bodies, errors, pages, watches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusError } from '#kube-machinery/status.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { createKubeClient } from './client.ts';
import { retriesMax } from './exchange.ts';
import { eventBytesMax, readWatchEvents } from './watch-events.ts';

const pods = { group: '', version: 'v1', resource: 'pods', namespaced: true, kind: 'Pod' };
const component = { user: 'system:kube-scheduler', groups: ['system:authenticated'] };

function clientOf(answer: (request: HttpRequest, body: string) => HttpResponse | Promise<HttpResponse>) {
  const clock = new VirtualClock();
  const client = createKubeClient({
    fetch: async (request) => answer(request, utf8Decode(Buffer.concat(await Array.fromAsync(request.body)))),
    component,
    clock,
    prng: seededPrng(1),
  });
  return { client, clock };
}

const json = (status: number, value: unknown, headers: [string, string][] = []): HttpResponse => ({
  status,
  headers,
  body: utf8Encode(JSON.stringify(value)),
});

test('a write carries its kind, its cause and who writes', async () => {
  const seen: unknown[] = [];
  const { client } = clientOf(({ method, target, headers, peer }, body) => {
    seen.push({
      method,
      target,
      cause: headers.find(([name]) => name === 'x-wherry-cause')?.[1],
      peer: peer.component,
    });
    return json(201, JSON.parse(body));
  });
  const created = await client
    .withCause('scale up to 3')
    .resource(pods, 'default')
    .create({ metadata: { name: 'a', namespace: 'default' } }, { dryRun: true });
  assert.deepEqual(created, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'default' } });
  assert.deepEqual(seen, [
    {
      method: 'POST',
      target: '/api/v1/namespaces/default/pods?dryRun=All',
      cause: 'scale%20up%20to%203',
      peer: component,
    },
  ]);
});

test('what the server answers is thrown as its Status', async () => {
  const status = { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'pods "a" not found', code: 404 };
  const { client } = clientOf(() => json(404, status));
  await assert.rejects(client.resource(pods, 'default').get('a'), (error: unknown) => {
    assert.ok(error instanceof StatusError);
    assert.deepEqual([error.code, error.reason, error.message], [404, 'NotFound', 'pods "a" not found']);
    return true;
  });
  const { client: plain } = clientOf(() => ({ status: 503, headers: [], body: utf8Encode('no etcd\n') }));
  await assert.rejects(plain.raw('/readyz'), { name: 'StatusError', message: 'no etcd', reason: 'ServiceUnavailable' });
});

test('a busy server is asked again after the time it names, a limited number of times', async () => {
  let asked = 0;
  const { client, clock } = clientOf(() => {
    asked++;
    return json(429, { kind: 'Status', reason: 'TooManyRequests', message: 'busy', code: 429 }, [['retry-after', '1']]);
  });
  const failed = assert.rejects(client.raw('/api'), { message: 'busy' });
  await clock.advance(60_000, () => new Promise((resolve) => setImmediate(resolve)));
  await failed;
  assert.equal(asked, retriesMax + 1);
  assert.equal(clock.pending, 0);
});

test('an answer that never comes ends with a timeout, or with the caller', async () => {
  const { client, clock } = clientOf(() => new Promise(() => {}));
  const late = assert.rejects(client.raw('/api'), { reason: 'Timeout' });
  const aborter = new AbortController();
  const aborted = assert.rejects(client.raw('/api', aborter.signal), { message: 'stop' });
  await new Promise((resolve) => setImmediate(resolve));
  aborter.abort(new Error('stop'));
  await aborted;
  await clock.advance(60_000, () => new Promise((resolve) => setImmediate(resolve)));
  await late;
});

test('a long list comes page after page, its items with their kind', async () => {
  const targets: string[] = [];
  const { client } = clientOf(({ target }) => {
    targets.push(target);
    const next = target.includes('continue=') ? '' : 'more';
    return json(200, {
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: { resourceVersion: '7', ...(next !== '' && { continue: next }) },
      items: [{ metadata: { name: `p${targets.length}` } }],
    });
  });
  const found = [];
  for await (const page of client.resource(pods).pages({ resourceVersion: '0', limit: 1 })) found.push(...page.items);
  assert.deepEqual(found, [
    { metadata: { name: 'p1' }, kind: 'Pod', apiVersion: 'v1' },
    { metadata: { name: 'p2' }, kind: 'Pod', apiVersion: 'v1' },
  ]);
  assert.deepEqual(targets, ['/api/v1/pods?resourceVersion=0&limit=1', '/api/v1/pods?continue=more&limit=1']);
});

test('watch events are cut at lines, not at chunks, and an ERROR is thrown', async () => {
  const text =
    '{"type":"ADDED","object":{"metadata":{"name":"ä"}}}\n{"type":"BOOKMARK","object":{"metadata":{"name":""}}}\n' +
    '{"type":"ERROR","object":{"kind":"Status","message":"too old resource version","reason":"Expired","code":410}}\n';
  const bytes = utf8Encode(text);
  for (const size of [1, 7, 64, bytes.length]) {
    const chunks = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })();
    const seen: unknown[] = [];
    await assert.rejects(
      (async () => {
        for await (const event of readWatchEvents(chunks)) seen.push(event);
      })(),
      { name: 'StatusError', code: 410 },
    );
    assert.deepEqual(seen, [
      { type: 'ADDED', object: { metadata: { name: 'ä' } } },
      { type: 'BOOKMARK', object: { metadata: { name: '' } } },
    ]);
  }
});

test('a watch event without end is refused', async () => {
  const chunk = new Uint8Array(1 << 20).fill(32);
  const endless = (async function* () {
    for (;;) yield chunk;
  })();
  await assert.rejects(readWatchEvents(endless).next(), { message: `a watch event is over ${eventBytesMax} bytes` });
});

test('leaving a watch closes its request; aborting ends it while nothing comes', async () => {
  const signals: AbortSignal[] = [];
  const { client } = clientOf(({ signal }) => {
    signals.push(signal);
    return {
      status: 200,
      headers: [],
      body: (async function* () {
        yield utf8Encode('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n');
        await new Promise(() => {});
      })(),
    };
  });
  for await (const { type } of client.resource(pods).watch()) {
    assert.equal(type, 'ADDED');
    break;
  }
  assert.equal(signals[0]!.aborted, true);
  const aborter = new AbortController();
  const events = client.resource(pods).watch({ signal: aborter.signal });
  await events.next();
  const next = events.next();
  aborter.abort(new Error('stop'));
  await assert.rejects(next, { message: 'stop' });
});
