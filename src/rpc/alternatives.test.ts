/** A client of several servers that do equally well: one goes, one never was there, one sleeps. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import test from 'node:test';
import { KV, PutRequest, PutResponse } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import { Scope } from '#std/scope.ts';
import { parseTarget } from '#transport/dial.ts';
import { type Listener, listen } from '#transport/listen.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { bind } from './call.ts';
import { connectRpc } from './client.ts';
import { createDispatcher } from './server.ts';

const timeout = 20_000;
const host = '127.0.0.1';
const targetOf = (port: number) => parseTarget(`http://${host}:${port}`);

/** Says its name to whoever puts. */
function named(name: string): Promise<Listener> {
  const kv = bind(KV, {
    put: () => PutResponse.create({ header: { clusterId: 0n, memberId: BigInt(name), revision: 0, raftTerm: 0 } }),
  });
  return listen({
    address: { host, port: 0 },
    handler: async () => ({ status: 404, headers: [], body: new Uint8Array(0) }),
    dispatcher: createDispatcher({ services: [kv], clock: systemClock }),
  });
}

test('calls go to the next server when one is gone, and wait for nobody', { timeout }, async () => {
  await using scope = new Scope();
  const [first, second] = [await named('1'), await named('2')];
  scope.use(second);
  const nobody = await named('3');
  await nobody[Symbol.asyncDispose]();
  const channel = scope.use(
    connectRpc({
      target: targetOf(nobody.port),
      alternatives: [targetOf(first.port), targetOf(second.port)],
      clock: systemClock,
    }),
  );
  const put = async () => (await channel.unary(KV.methods.put, PutRequest.create({}))).header?.memberId;
  assert.equal(await put(), 1n);
  assert.equal(await put(), 1n);
  await first[Symbol.asyncDispose]();
  // What was on its way when the server went is lost; what comes after is not.
  assert.equal(await put().catch(put), 2n);
});

test('a server that holds the connection and never answers is left, and told why', { timeout }, async () => {
  await using scope = new Scope();
  const second = scope.use(await named('2'));
  const sockets: Socket[] = [];
  const asleep = createServer((socket) => void sockets.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => asleep.listen(0, host, resolve));
  scope.defer(() => {
    for (const socket of sockets) socket.destroy();
    asleep.close();
  });
  const channel = scope.use(
    connectRpc({
      target: targetOf((asleep.address() as { port: number }).port),
      alternatives: [targetOf(second.port)],
      keepAlive: { timeMs: 30, timeoutMs: 30 },
      clock: systemClock,
    }),
  );
  const put = async () => (await channel.unary(KV.methods.put, PutRequest.create({}))).header?.memberId;
  await assert.rejects(put(), (error) => {
    assert.ok(error instanceof RpcError && error.code === Code.Unavailable);
    assert.match(error.message, /keepalive ping failed to receive ACK within timeout/);
    return true;
  });
  assert.equal(await put(), 2n);
});

test('when none is there, the error says so', { timeout }, async () => {
  const nobody = await named('3');
  await nobody[Symbol.asyncDispose]();
  await using channel = connectRpc({
    target: targetOf(nobody.port),
    alternatives: [targetOf(nobody.port)],
    clock: systemClock,
  });
  await assert.rejects(
    channel.unary(KV.methods.put, PutRequest.create({})),
    /Error while dialing: .*connection refused/,
  );
});
