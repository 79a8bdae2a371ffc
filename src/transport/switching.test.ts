/** Connections that switch protocols while one side goes away: the other side hears of it, and nothing is left open. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { Scope } from '#std/scope.ts';
import { serveSockets } from '#testkit/serve-sockets.ts';
import { discard } from './discard.ts';
import { createFetch } from './fetch.ts';
import type { HttpHandler, HttpRequest } from './http.ts';
import { listen } from './listen.ts';
import { joinedPair } from './relay.ts';
import { acceptSpdy } from './spdy.ts';
import { acceptWebSocket } from './websocket.ts';

const limit = { timeout: 10_000 };

const request = (headers: HttpRequest['headers'] = []): HttpRequest => ({
  ...{ method: 'GET', target: '/', headers, authority: 'a', protocol: 'HTTP/1.1' },
  body: (async function* () {})(),
  peer: { address: 'in-memory' },
  signal: new AbortController().signal,
});

/** Asks with these headers and goes as soon as the request has come; the answer comes after that. */
async function goBeforeTheAnswer(headers: string, answer: (request: HttpRequest) => ReturnType<HttpHandler>) {
  const came = Promise.withResolvers<void>();
  await using listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    async handler(request) {
      came.resolve();
      await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
      return answer(request);
    },
  });
  const socket = connect(listener.port, '127.0.0.1');
  socket.write(`GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n${headers}\r\n\r\n`);
  await came.promise;
  socket.resetAndDestroy();
}

test('a client that goes before the switch: who serves it sees a connection that has closed', limit, async () => {
  const spdy = Promise.withResolvers<void>();
  await goBeforeTheAnswer('upgrade: SPDY/3.1\r\nx-stream-protocol-version: a', async (request) =>
    acceptSpdy(request, ['a'], async ({ closed, streams }) => {
      for await (const _ of streams);
      spdy.resolve(closed);
    }),
  );
  await spdy.promise;
  const webSocket = Promise.withResolvers<void>();
  await goBeforeTheAnswer(
    'upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    async (request) =>
      acceptWebSocket(request, { protocols: [] }, async ({ closed, messages }) => {
        for await (const _ of messages);
        webSocket.resolve(closed);
      }),
  );
  await webSocket.promise;
});

test('a client that goes before it is refused does not have the refusal read for it', limit, async () => {
  const left = Promise.withResolvers<void>();
  await goBeforeTheAnswer('upgrade: SPDY/3.1', async () => ({
    status: 403,
    headers: [],
    body: {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        async return() {
          left.resolve();
          return { done: true as const, value: undefined };
        },
      }),
    },
  }));
  await left.promise;
});

test('a server that breaks between its answer and the switch takes the client along', limit, async () => {
  await using scope = new Scope();
  const accepted = Promise.withResolvers<Socket>();
  const port = await serveSockets(scope, (socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: x\r\n\r\n'),
    );
    accepted.resolve(socket);
  });
  const fetch = scope.use(createFetch({ address: `http://127.0.0.1:${port}` }));
  const { upgrade } = await fetch(
    request([
      ['connection', 'Upgrade'],
      ['upgrade', 'x'],
    ]),
  );
  const server = await accepted.promise;
  server.resetAndDestroy();
  await once(server, 'close');
  // The reset is here, or on its way: either is told.
  await new Promise((resolve) => setImmediate(resolve));
  const [ours, theirs] = joinedPair();
  const ended = once(ours.resume(), 'end');
  upgrade!(theirs, new Uint8Array(0));
  await ended;
});

test('an answer that nobody takes is let go of, with its connection', limit, async () => {
  await using scope = new Scope();
  for (const head of [
    'HTTP/1.1 403 Forbidden\r\ncontent-length: 1000000\r\n\r\nunable to upgrade',
    'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: x\r\n\r\n',
  ]) {
    const closed = Promise.withResolvers<void>();
    const port = await serveSockets(scope, (socket) => {
      socket.once('data', () => socket.write(head)).on('close', () => closed.resolve());
    });
    const fetch = scope.use(createFetch({ address: `http://127.0.0.1:${port}` }));
    discard(
      await fetch(
        request([
          ['connection', 'Upgrade'],
          ['upgrade', 'x'],
        ]),
      ),
    );
    await closed.promise;
  }
});
