/** A client that closes lets go of every connection at once: one that is being made, one that the server is taking leave of. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import test from 'node:test';
import { KV, PutRequest, Watch } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import { Scope } from '#std/scope.ts';
import { serveSockets } from '#testkit/serve-sockets.ts';
import { parseTarget } from '#transport/dial.ts';
import { joinSocket } from '#transport/http2-socket.ts';
import { connectRpc } from './client.ts';

const timeout = 10_000;
/** The head of a frame: eight bytes, PING, ACK. */
const pingAnswer = Buffer.from([0, 0, 8, 6, 1]);

test('a handshake that nobody answers is given up', { timeout }, async () => {
  await using scope = new Scope();
  const accepted = Promise.withResolvers<Socket>();
  const port = await serveSockets(scope, (socket) => accepted.resolve(socket.resume()));
  const channel = connectRpc({ target: parseTarget(`https://127.0.0.1:${port}`), clock: systemClock });
  const put = assert.rejects(channel.unary(KV.methods.put, PutRequest.create({})), {
    message: /grpc: the client connection is closing/,
  });
  const closed = once(await accepted.promise, 'close');
  await channel[Symbol.asyncDispose]();
  await Promise.all([put, closed]);
});

test('a connection that the server drains, with a call on it, is closed', { timeout }, async () => {
  await using scope = new Scope();
  const ignore = () => {};
  const opened = Promise.withResolvers<Socket>();
  // The client has read the GOAWAY when it has answered the ping behind it.
  const goodbyeRead = Promise.withResolvers<void>();
  const port = await serveSockets(scope, (socket) => {
    const http2 = joinSocket(socket, {
      role: 'server',
      accept() {
        http2.drain();
        http2.ping(Buffer.alloc(8));
        socket.on('data', (chunk) => chunk.includes(pingAnswer) && goodbyeRead.resolve());
        opened.resolve(socket);
        return { headers: ignore, data: ignore, reset: ignore, writable: ignore };
      },
    });
  });
  const channel = connectRpc({ target: parseTarget(`http://127.0.0.1:${port}`), clock: systemClock });
  const call = channel.open(Watch.methods.watch);
  const ended = assert.rejects(call.messages[Symbol.asyncIterator]().next());
  const closed = once(await opened.promise, 'close');
  await goodbyeRead.promise;
  await channel[Symbol.asyncDispose]();
  await Promise.all([ended, closed]);
});
