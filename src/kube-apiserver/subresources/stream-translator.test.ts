/** A WebSocket client on one side, a node with nothing but SPDY on the other. */
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import type { HttpHandler, HttpRequest } from '#transport/http.ts';
import { listen } from '#transport/listen.ts';
import { acceptSpdy, type SpdyStream } from '#transport/spdy.ts';
import { translateStreams } from './stream-translator.ts';

const limit = { timeout: 10_000 };
const flags = { stdin: true, stdout: true, stderr: false, tty: true };

/** Gives its input and its sizes back on the output; when the input ends, tells how long it was. */
const node = (request: HttpRequest) =>
  acceptSpdy(request, ['v4.channel.k8s.io'], async (connection) => {
    const streams = new Map<string, SpdyStream>();
    for await (const stream of connection.streams) {
      streams.set(stream.headers.get('streamtype')!, stream);
      if (streams.size === 4) break;
    }
    const [error, stdin, stdout, resize] = ['error', 'stdin', 'stdout', 'resize'].map((type) => streams.get(type)!);
    void (async () => {
      for await (const size of resize!.data) await stdout!.write(Buffer.concat([Buffer.from('size '), size]));
    })().catch(() => {});
    let length = 0;
    for await (const data of stdin!.data) {
      length += data.length;
      await stdout!.write(data);
    }
    stdout!.end();
    await error!.write(Buffer.from(JSON.stringify({ status: 'Success', message: String(length) })));
    error!.end();
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

async function withClient(answer: HttpHandler, run: (socket: WebSocket) => Promise<void>): Promise<void> {
  const handler: HttpHandler = (request) =>
    translateStreams(request, flags, (change) => answer({ ...request, ...change }));
  await using listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler });
  await run(new WebSocket(`ws://127.0.0.1:${listener.port}/`, ['v5.channel.k8s.io']));
}

test('input and its end, sizes, output and the outcome pass through', limit, () =>
  withClient(
    async (request) => node(request),
    async (socket) => {
      const messages: Buffer[] = [];
      socket.on('message', (data: Buffer) => messages.push(data));
      await new Promise((resolve) => socket.once('open', resolve));
      const said = (channel: number) =>
        Buffer.concat(
          messages.filter((message) => message[0] === channel).map((message) => message.subarray(1)),
        ).toString();
      socket.send(Buffer.from('\u0004{"Width":80,"Height":24}'));
      while (!said(1).includes('\n')) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(said(1), 'size {"Width":80,"Height":24}\n');
      const large = 'x'.repeat(200_000);
      socket.send(Buffer.from(`\0${large}`));
      socket.send(Buffer.of(255, 0));
      const code = await new Promise((resolve) => socket.once('close', resolve));
      assert.equal(code, 1000);
      assert.equal(said(1), `size {"Width":80,"Height":24}\n${large}`);
      assert.deepEqual(JSON.parse(said(3)), { status: 'Success', message: '200000' });
    },
  ),
);

test('what the node refuses is what the client hears', limit, () =>
  withClient(
    async () => ({ status: 404, headers: [], body: Buffer.from('container not found') }),
    async (socket) => {
      const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
      assert.match(error.message, /404/);
    },
  ),
);

test('a client that goes takes the connection to the node along', limit, () => {
  const left = Promise.withResolvers<void>();
  return withClient(
    async (request) =>
      acceptSpdy(request, ['v4.channel.k8s.io'], async (connection) => {
        await connection.closed;
        left.resolve();
      }),
    async (socket) => {
      await new Promise((resolve) => socket.once('open', resolve));
      socket.terminate();
      await left.promise;
    },
  );
});

test('a client that asks for streams in a way that cannot be answered costs the node nothing', limit, async () => {
  let asked = 0;
  const handler: HttpHandler = (request) =>
    translateStreams(request, flags, async (change) => {
      asked++;
      return node({ ...request, ...change });
    });
  await using listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler });
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
  const status = await new Promise((resolve, reject) => {
    get({ port: listener.port, headers }, (response) => resolve(response.resume().statusCode)).on('error', reject);
  });
  assert.equal(status, 400);
  assert.equal(asked, 0);
});
