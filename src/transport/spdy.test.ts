/** SPDY's server end against our own encoder and decoder as the client, over a socket and inside a WebSocket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpdyClient } from '#testkit/spdy-client.ts';
import type { HttpHandler } from './http.ts';
import { listen } from './listen.ts';
import { acceptSpdy, type SpdyConnection, streamsMax } from './spdy.ts';

const limit = { timeout: 10_000 };
const versions = ['test.k8s.io'];

async function withServer(
  serve: (connection: SpdyConnection) => Promise<void>,
  run: (connect: (version?: string) => SpdyClient) => Promise<void>,
): Promise<void> {
  const handler: HttpHandler = async (request) => acceptSpdy(request, versions, serve);
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler });
  const clients: SpdyClient[] = [];
  try {
    await run((version = versions[0]!) => {
      const client = new SpdyClient(`http://127.0.0.1:${listener.port}/`, version);
      clients.push(client);
      return client;
    });
  } finally {
    for (const { socket } of clients) socket.destroy();
    await listener[Symbol.asyncDispose]();
  }
}

/** Gives every stream back what it says. */
async function echo(connection: SpdyConnection): Promise<void> {
  for await (const stream of connection.streams)
    void (async () => {
      for await (const data of stream.data) await stream.write(data);
      stream.end();
    })().catch(() => {});
}

test('streams are accepted, carry data both ways, and end on each side by themselves', limit, () =>
  withServer(echo, async (connect) => {
    const client = connect();
    client.open(1, { streamtype: 'data' });
    client.open(3);
    client.send(1, 'one ');
    client.send(3, 'three', true);
    await client.until(() => client.ended(3));
    assert.match(
      client.head,
      /^HTTP\/1\.1 101 [\s\S]*upgrade: SPDY\/3\.1[\s\S]*x-stream-protocol-version: test\.k8s\.io/i,
    );
    client.send(1, 'more', true);
    await client.until(() => client.ended(1));
    assert.deepEqual([client.text(1), client.text(3)], ['one more', 'three']);
    assert.equal(client.frames.filter(({ kind }) => kind === 'syn-reply').length, 2);
    client.socket.write(client.encoder.ping(1));
    await client.until(() => client.frames.find(({ kind }) => kind === 'ping'));
  }),
);

test('a large answer comes whole to a client that reads slowly', limit, () =>
  withServer(
    async (connection) => {
      for await (const stream of connection.streams) {
        await stream.write(Buffer.alloc(4 << 20, 'x'));
        stream.end();
      }
    },
    async (connect) => {
      const client = connect();
      client.open(1);
      await client.until(() => client.frames[0]);
      client.socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 50));
      client.socket.resume();
      await client.until(() => client.ended(1));
      assert.equal(client.text(1).length, 4 << 20);
    },
  ),
);

test('a client that offers no version spoken here is told which are', limit, () =>
  withServer(echo, async (connect) => {
    const client = connect('other.k8s.io');
    await client.until(() => client.head || undefined);
    assert.match(client.head, /^HTTP\/1\.1 403 [\s\S]*x-accepted-stream-protocol-versions: test\.k8s\.io/i);
  }),
);

test('a stream that is reset ends for its reader; its connection goes on', limit, () => {
  const failed = Promise.withResolvers<unknown>();
  return withServer(
    async (connection) => {
      for await (const stream of connection.streams)
        if (stream.id === 1)
          (async () => {
            for await (const _ of stream.data);
          })().catch(failed.resolve);
        else stream.end();
    },
    async (connect) => {
      const client = connect();
      client.open(1);
      client.socket.write(client.encoder.rstStream(1, 5));
      assert.match(String(await failed.promise), /stream reset/);
      client.open(3);
      await client.until(() => client.ended(3));
    },
  );
});

test('one stream too many is refused, and one of a number that was used', limit, () =>
  withServer(echo, async (connect) => {
    const client = connect();
    for (let i = 0; i <= streamsMax; i++) client.open(2 * i + 1);
    client.open(1);
    const resets = () => client.frames.filter((frame) => frame.kind === 'rst-stream');
    await client.until(() => (resets().length === 2 ? true : undefined));
    assert.deepEqual(resets(), [
      { kind: 'rst-stream', streamId: 2 * streamsMax + 1, status: 3 },
      { kind: 'rst-stream', streamId: 1, status: 1 },
    ]);
  }),
);

test('what is not SPDY ends the connection; so does the server when it is done', limit, () =>
  withServer(
    async (connection) => {
      for await (const stream of connection.streams) {
        await stream.write(Buffer.from('bye'));
        stream.end();
        return;
      }
    },
    async (connect) => {
      const wrong = connect();
      await wrong.until(() => wrong.head || undefined);
      wrong.socket.write('GET / HTTP/1.1\r\n\r\n'.replace('G', '\xff'), 'latin1');
      await wrong.closed;
      const right = connect();
      right.open(1);
      await right.closed;
      assert.equal(right.text(1), 'bye');
      assert.deepEqual(right.frames.at(-1), { kind: 'goaway', lastStreamId: 1, status: 0 });
    },
  ),
);
