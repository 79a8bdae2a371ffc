/** The server's end of a WebSocket with a real client: both directions, ping, whole and large messages, a refused protocol, goodbye. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { type Listener, listen } from './listen.ts';
import { acceptWebSocket, type WebSocketConnection } from './websocket.ts';

const limit = { timeout: 10_000 };

function serve(work: (connection: WebSocketConnection) => Promise<void>): Promise<Listener> {
  return listen({
    address: { host: '127.0.0.1', port: 0 },
    handler: async (request) => acceptWebSocket(request, { protocols: ['b', 'a'] }, work),
  });
}

test('messages go both ways, and the client sees the end', limit, async () => {
  await using listener = await serve(async (connection) => {
    connection.send(Buffer.from(connection.protocol));
    for await (const message of connection.messages) {
      if (message.length === 0) break;
      if (!connection.send(message)) await connection.drained();
    }
  });
  const client = new WebSocket(`ws://127.0.0.1:${listener.port}/`, ['x', 'a']);
  const received: Buffer[] = [];
  client.on('message', (data: Buffer) => received.push(data));
  await once(client, 'open');
  const large = Buffer.alloc(3 << 20, 'y');
  client.send(large);
  client.ping();
  await once(client, 'pong');
  client.send(Buffer.alloc(0));
  const [code] = await once(client, 'close');
  assert.equal(code, 1000);
  assert.deepEqual(
    received.map((data) => data.length),
    [1, large.length],
  );
  assert.equal(received[0]!.toString(), 'a');
});

test('a client of other protocols is refused', limit, async () => {
  await using listener = await serve(async () => {});
  const client = new WebSocket(`ws://127.0.0.1:${listener.port}/`, ['x']);
  const [error] = await once(client, 'error');
  assert.match(String(error), /400/);
});
