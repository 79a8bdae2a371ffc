/** Pushed bodies over HTTP/2: what an apiserver passes on from a kubelet's socket. Node's own HTTP/2 is the client. */
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { createFetch } from './fetch.ts';
import type { BodySink } from './http.ts';
import { listen } from './listen.ts';

const timeout = 20_000;

test('an answer of a server behind arrives whole, however large, and while it is written', { timeout }, async () => {
  await using scope = new Scope();
  const size = 5 << 20;
  const behind = scope.use(
    await listen({
      address: { host: '127.0.0.1', port: 0 },
      handler: async () => ({
        status: 200,
        headers: [['x-behind', 'yes']],
        body: (async function* () {
          for (let sent = 0; sent < size; sent += 64 << 10) yield Buffer.alloc(64 << 10, 'x');
        })(),
      }),
    }),
  );
  const fetch = scope.use(createFetch({ address: `http://127.0.0.1:${behind.port}` }));
  const front = scope.use(await listen({ address: { host: '127.0.0.1', port: 0 }, handler: fetch }));
  const session = connect(`http://127.0.0.1:${front.port}`);
  scope.defer(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  const headers = new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
  let length = 0;
  for await (const chunk of stream) length += (chunk as Buffer).length;
  assert.equal((await headers)[':status'], 200);
  assert.equal((await headers)['x-behind'], 'yes');
  assert.equal(length, size);
});

test('a client that goes away is told of, and a body that is cut off is no whole one', { timeout }, async () => {
  await using scope = new Scope();
  let sink: BodySink | undefined;
  const gone = Promise.withResolvers<void>();
  const front = scope.use(
    await listen({
      address: { host: '127.0.0.1', port: 0 },
      handler: async () => ({
        status: 200,
        headers: [],
        body: new Uint8Array(0),
        push(given) {
          sink = given;
          return { room: () => {}, gone: () => gone.resolve() };
        },
      }),
    }),
  );
  const session = connect(`http://127.0.0.1:${front.port}`);
  scope.defer(() => session.destroy());
  const first = session.request({ ':path': '/' });
  first.on('error', () => {});
  await new Promise((resolve) => first.once('response', resolve));
  sink!.write(Buffer.from('hello'));
  await new Promise((resolve) => first.once('data', resolve));
  first.close(8);
  await gone.promise;
  const second = session.request({ ':path': '/' });
  await new Promise((resolve) => second.once('response', resolve));
  const failed = new Promise((resolve) => second.once('error', resolve));
  second.resume();
  sink!.write(Buffer.from('half'));
  sink!.destroy();
  await failed;
});
