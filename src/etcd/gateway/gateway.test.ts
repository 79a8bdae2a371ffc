/** The gateway over real sockets: tokens of browsers, bodies in pieces, callers that leave, hosts and origins. What it shares with the reference is in `conformance/etcd`. */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { after, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { Auth, AuthUserAddRequest } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import { seededPrng } from '#std/prng.ts';
import { listen } from '#transport/listen.ts';
import { type EtcdConfig, startEtcd } from '../start.ts';
import { documentsIn } from './documents.ts';

const timeout = 20_000;

async function serve(config: EtcdConfig) {
  const etcd = await startEtcd({
    config: { bcryptCost: 4, ...config },
    deps: { clock: systemClock, prng: seededPrng(3), log: () => {} },
  });
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, handler: etcd.http });
  return { etcd, listener, port: listener.port };
}

function post(
  port: number,
  path: string,
  pieces: readonly (string | Buffer)[],
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly response: IncomingMessage; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { port, host: '127.0.0.1', path, method: 'POST', headers, agent: new Agent() },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('end', () => resolve({ response, text }));
      },
    );
    // A server that has read enough answers, and hangs up on the rest.
    request.on('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && reject(error));
    const next = ([piece, ...rest]: readonly (string | Buffer)[]) => {
      if (piece === undefined) request.end();
      else request.write(piece, () => setImmediate(() => next(rest)));
    };
    next(pieces);
  });
}

describe('the gateway', { timeout }, async () => {
  const { etcd, listener, port } = await serve({});
  const channel = etcd.connect();
  after(async () => {
    await channel[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
  });

  test('a body may arrive cut anywhere, also inside a character', async () => {
    const body = Buffer.from('{"name":"jörg","options":{"no_password":true}}');
    for (let at = 1; at < body.length; at += 3)
      await post(port, '/v3/auth/user/add', [body.subarray(0, at), body.subarray(at)]);
    const { text } = await post(port, '/v3/auth/user/list', ['{}']);
    assert.deepEqual((JSON.parse(text) as { users: unknown }).users, ['jörg']);
  });

  test('a body that is too large is refused, however it is written', async () => {
    const large = JSON.stringify({ key: 'YQ==', value: Buffer.alloc(3 << 20).toString('base64') });
    const { response, text } = await post(port, '/v3/kv/put', [large]);
    assert.equal(response.statusCode, 429);
    assert.match(text, /received message larger than max/);
  });

  test('who leaves a watch ends it', async () => {
    const watching = httpRequest({ port, host: '127.0.0.1', path: '/v3/watch', method: 'POST', agent: new Agent() });
    watching.on('error', () => {});
    watching.write('{"create_request":{"key":"YQ=="}}');
    const response = await new Promise<IncomingMessage>((resolve) => watching.on('response', resolve));
    await new Promise((resolve) => response.once('data', resolve));
    const watchers = async () => /etcd_debugging_mvcc_watcher_total (\d+)/.exec(await metrics(port))![1];
    assert.equal(await watchers(), '1');
    watching.destroy();
    while ((await watchers()) !== '0') await new Promise((resolve) => setImmediate(resolve));
  });

  test('a browser brings its token as a subprotocol', async () => {
    const { methods } = Auth;
    await channel.unary(methods.userAdd, AuthUserAddRequest.create({ name: 'root', password: 'root' }));
    await channel.unary(methods.userGrantRole, { user: 'root', role: 'root' });
    await channel.unary(methods.authEnable, {});
    const { token } = await channel.unary(methods.authenticate, { name: 'root', password: 'root' });
    const first = async (protocols: string[]) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/v3/watch`, protocols);
      socket.on('open', () => socket.send('{"create_request":{"key":"YQ=="}}'));
      const message = await new Promise<string>((resolve, reject) => {
        socket.on('message', (data: Buffer) => resolve(data.toString()));
        socket.on('error', reject);
      });
      socket.terminate();
      return (JSON.parse(message) as { result: { canceled?: boolean } }).result;
    };
    assert.equal((await first(['Bearer', token])).canceled, undefined);
    assert.equal((await first([])).canceled, true);
    await channel.unary(methods.authDisable, {}, { metadata: [['token', token]] });
  });
});

test('a document that does not end is given up', { timeout }, async () => {
  async function* endless() {
    yield Buffer.from('{"key":"');
    for (;;) yield Buffer.alloc(1000, 'A');
  }
  const read = () => assert.fail('nothing is read before it is whole');
  await assert.rejects(documentsIn(endless(), 100_000, read).next(), /too large/);
});

test('hosts and origins that are not named are refused', { timeout }, async () => {
  const { etcd, listener, port } = await serve({ hosts: new Set(['db.local']), origins: new Set(['http://page']) });
  try {
    const refused = await post(port, '/v3/kv/range', ['{"key":"YQ=="}']);
    assert.equal(refused.response.statusCode, 421);
    assert.match(refused.text, /--host-whitelist "127.0.0.1"/);
    const named = { host: `db.local:${port}` };
    const taken = await post(port, '/v3/kv/range', ['{"key":"YQ=="}'], { ...named, origin: 'http://page' });
    assert.equal(taken.response.statusCode, 200);
    assert.equal(taken.response.headers['access-control-allow-origin'], 'http://page');
    const other = await post(port, '/v3/kv/range', ['{"key":"YQ=="}'], { ...named, origin: 'http://other' });
    assert.equal(other.response.headers['access-control-allow-origin'], undefined);
  } finally {
    await listener[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
  }
});

function metrics(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', path: '/metrics', agent: new Agent() }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}
