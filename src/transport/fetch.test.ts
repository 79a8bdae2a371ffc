/** The HTTP client against our own listener: bodies both ways, streams, keep-alive, aborts and upgrades. */
import assert from 'node:assert/strict';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { drainTurns } from '#host/event-loop.ts';
import { emptyBytes, utf8Decode, utf8Encode } from '#std/bytes.ts';
import { createFetch } from './fetch.ts';
import type { BodySink, HttpHandler, HttpRequest } from './http.ts';
import { listen } from './listen.ts';

function request(method: string, body = '', more: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method,
    target: '/x?y=1',
    headers: [],
    authority: 'a',
    protocol: 'HTTP/1.1',
    body: (async function* () {
      if (body !== '') yield utf8Encode(body);
    })(),
    peer: { address: 'in-memory' },
    signal: new AbortController().signal,
    ...more,
  };
}

async function text(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<string> {
  return utf8Decode(body instanceof Uint8Array ? body : Buffer.concat(await Array.fromAsync(body)));
}

async function serve(handler: HttpHandler) {
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler });
  const fetch = createFetch({ address: `http://127.0.0.1:${listener.port}` });
  return {
    fetch,
    async [Symbol.asyncDispose]() {
      await fetch[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

test('a request and its body arrive, for every method that has one', { timeout: 10_000 }, async () => {
  await using server = await serve(async ({ method, target, body }) => ({
    status: 201,
    headers: [['x-seen', `${method} ${target}`]],
    body: utf8Encode(await text(body)),
  }));
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const response = await server.fetch(request(method, 'hello'));
    assert.equal(response.status, 201);
    assert.deepEqual(
      response.headers.find(([name]) => name === 'x-seen'),
      ['x-seen', `${method} /x?y=1`],
    );
    assert.equal(await text(response.body), 'hello');
  }
  assert.equal(await text((await server.fetch(request('DELETE'))).body), '');
});

test('chunks of a stream arrive as they are sent, and an abort ends it on both sides', {
  timeout: 10_000,
}, async () => {
  const gone = Promise.withResolvers<void>();
  await using server = await serve(async ({ signal }) => {
    signal.addEventListener('abort', () => gone.resolve());
    return {
      status: 200,
      headers: [],
      body: (async function* () {
        yield utf8Encode('one\n');
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      })(),
    };
  });
  const aborter = new AbortController();
  const { body } = await server.fetch(request('GET', '', { signal: aborter.signal }));
  assert.ok(!(body instanceof Uint8Array));
  const chunks = body[Symbol.asyncIterator]();
  assert.equal(utf8Decode((await chunks.next()).value!), 'one\n');
  const next = chunks.next();
  aborter.abort(new Error('enough'));
  await assert.rejects(next);
  await gone.promise;
});

test('an upgraded connection carries bytes both ways', { timeout: 10_000 }, async () => {
  await using server = await serve(async () => ({
    status: 101,
    headers: [
      ['connection', 'Upgrade'],
      ['upgrade', 'echo'],
    ],
    body: new Uint8Array(0),
    upgrade: (connection) => {
      connection.pipe(connection);
    },
  }));
  const headers = [
    ['connection', 'Upgrade'],
    ['upgrade', 'echo'],
  ] as const;
  const response = await server.fetch(request('GET', '', { headers }));
  assert.equal(response.status, 101);
  const [near, far] = duplexPair() as [Duplex, Duplex];
  response.upgrade!(far, utf8Encode('early '));
  near.end('late');
  assert.equal(await text(near), 'early late');
});

test('a server that is not there is an error', { timeout: 10_000 }, async () => {
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    handler: async () => ({ status: 200, headers: [], body: new Uint8Array(0) }),
  });
  await listener[Symbol.asyncDispose]();
  await using fetch = createFetch({ address: `127.0.0.1:${listener.port}` });
  await assert.rejects(fetch(request('GET')), /ECONNREFUSED/);
});

test('a pushed body arrives as it is written, backs up behind a slow reader, and tells both ends when it is over', async () => {
  const told: string[] = [];
  let pushing: BodySink | undefined;
  await using server = await serve(async () => ({
    status: 200,
    headers: [],
    body: emptyBytes,
    push(sink) {
      pushing = sink;
      return { room: () => told.push('room'), gone: () => told.push('gone') };
    },
  }));
  const response = await server.fetch(request('GET'));
  const chunks: string[] = [];
  let wake = () => {};
  let reading = true;
  const next = () => new Promise<void>((resolve) => (wake = resolve));
  const source = response.push!({
    write(bytes) {
      chunks.push(utf8Decode(bytes));
      wake();
      return reading;
    },
    end: () => assert.fail('ended'),
    destroy: () => wake(),
  });
  let arrived = next();
  assert.equal(pushing!.write(utf8Encode('one')), true);
  await arrived;
  assert.deepEqual(chunks, ['one']);
  reading = false;
  arrived = next();
  // More than the kernel holds for a connection.
  assert.equal(pushing!.write(Buffer.alloc(64 << 20, 'x')), false);
  await arrived;
  const before = chunks.length;
  await drainTurns(20);
  assert.equal(chunks.length, before);
  assert.deepEqual(told, []);
  reading = true;
  source.room();
  while (told.length === 0) await next();
  assert.deepEqual(told, ['room']);
  arrived = next();
  pushing!.destroy();
  while (told.length === 1) await drainTurns(1);
  assert.deepEqual(told, ['room', 'gone']);
});

test('a reader that goes away ends a pushed body', async () => {
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  await using server = await serve(async () => ({
    status: 200,
    headers: [],
    body: emptyBytes,
    push: () => ({ room() {}, gone: resolve }),
  }));
  const response = await server.fetch(request('GET'));
  response.push!({ write: () => true, end() {}, destroy() {} }).gone();
  await gone;
});
