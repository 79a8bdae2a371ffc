/** An etcd that takes requests and answers none: whoever waits is told in time, and what comes later is served. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { KV } from '#api-etcd/gen/rpc.ts';
import { startEtcd } from '#etcd/start.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { bind } from '#rpc/call.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { requestTimeoutMs } from './request-timeout.ts';

const silence = () => new Promise<never>(() => {});

/** Turns of the event loop until what was started has come to rest. */
async function settle() {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

async function startOnSilentEtcd(scope: Scope) {
  const deps = { clock: systemClock, prng: seededPrng(1), log: () => {} };
  const etcd = scope.use(await startEtcd({ config: {}, deps }));
  const clock = new VirtualClock();
  const silent = scope.use(connectInMemory({ services: [bind(KV, { range: silence, txn: silence })], clock }));
  const state = { silent: false };
  const connect = () => {
    const channel = etcd.connect();
    const unary: typeof channel.unary = (...call) => (state.silent ? silent : channel).unary(...call);
    return { ...channel, unary };
  };
  const server = await startInMemoryApiserver(scope, { ...etcd, connect }, clock);
  return { ...server, clock, state };
}

const maps = '/api/v1/namespaces/default/configmaps';

test('requests end while etcd does not answer, and go on when it does', async () => {
  await using scope = new Scope();
  const { call, clock, state } = await startOnSilentEtcd(scope);
  await call('POST', maps, { body: { metadata: { name: 'a' } } });
  state.silent = true;
  const waiting = [
    call('GET', `${maps}/a`),
    call('GET', `${maps}/a`),
    call('GET', maps),
    call('POST', maps, { body: { metadata: { name: 'b' } } }),
    call('PUT', `${maps}/a`, { body: { metadata: { name: 'a' }, data: { x: 'y' } } }),
    call('DELETE', `${maps}/a`),
  ];
  await clock.advance(requestTimeoutMs, settle);
  for (const { code, object } of await Promise.all(waiting)) {
    assert.equal(code, 504);
    assert.equal(object['reason'], 'Timeout');
    assert.equal(object['message'], 'Timeout: request did not complete within the allotted timeout');
  }
  state.silent = false;
  // Nobody's question hangs on one that was never answered.
  await clock.advance(requestTimeoutMs, settle);
  assert.equal((await call('GET', `${maps}/a`)).code, 200);
  assert.equal((await call('GET', maps)).code, 200);
});

test('a call of etcd has the deadline that its client was made with', async () => {
  await using scope = new Scope();
  const clock = new VirtualClock();
  const channel = scope.use(connectInMemory({ services: [bind(KV, { range: silence })], clock }));
  const client = scope.use(createEtcdClient(channel, clock, 1000));
  const answer = client.range({ key: Buffer.from('k') });
  const refused = assert.rejects(answer, (error) => error instanceof RpcError && error.code === Code.DeadlineExceeded);
  await clock.advance(1000, settle);
  await refused;
});
