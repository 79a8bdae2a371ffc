/** Bytes through a WebSocket, both ways, however they are cut; the end of one side is the end of both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import type { HttpHandler } from './http.ts';
import { listen } from './listen.ts';
import { acceptWebSocket } from './websocket.ts';
import { webSocketDuplex } from './websocket-duplex.ts';

const limit = { timeout: 10_000 };

test('what a peer sends as messages is read as bytes, and what is written is sent', limit, async () => {
  const served = Promise.withResolvers<void>();
  const handler: HttpHandler = async (request) =>
    acceptWebSocket(request, { protocols: ['bytes'] }, async (connection) => {
      const duplex = webSocketDuplex(connection);
      duplex.pipe(duplex);
      await connection.closed;
      served.resolve();
    });
  await using listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler });
  const socket = new WebSocket(`ws://127.0.0.1:${listener.port}/`, ['bytes']);
  await new Promise((resolve) => socket.once('open', resolve));
  const sent = Buffer.alloc(3 << 20, 'abcdefg');
  let received = 0;
  const back = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      assert.ok(data.equals(sent.subarray(received, received + data.length)));
      received += data.length;
      if (received === sent.length) resolve();
    });
  });
  for (let at = 0; at < sent.length; ) {
    const length = at < 10 ? 2 : 70_001;
    socket.send(sent.subarray(at, at + length));
    at += length;
  }
  await back;
  socket.close();
  await served.promise;
});
