/** One suite over every way to carry calls: in memory, in memory with every message encoded, TCP, unix socket, TLS; then strangers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import {
  KV,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  Watch,
  WatchRequest,
  WatchResponse,
} from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createAuthority } from '#pki/certificate-authority.ts';
import { parseTarget } from '#transport/dial.ts';
import { type Listener, listen } from '#transport/listen.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { bind, type CallContext, type Channel, type Metadata } from './call.ts';
import { connectRpc } from './client.ts';
import { connectInMemory } from './in-memory.ts';
import { createDispatcher } from './server.ts';

/** Echoes puts, fails on demand, streams; what it saw of its calls is kept. */
function services() {
  const seen: { contexts: CallContext[]; hanging: number; aborted: unknown[] } = {
    contexts: [],
    hanging: 0,
    aborted: [],
  };
  const kv = bind(KV, {
    range(request, context) {
      seen.contexts.push(context);
      context.setTrailer([['trailing', 'yes']]);
      return RangeResponse.create({ count: request.limit, kvs: [] });
    },
    async put(request, context) {
      const text = Buffer.from(request.key).toString();
      if (text === 'fail') throw new RpcError(Code.FailedPrecondition, 'etcdserver: ünhappy 100%');
      if (text === 'hang')
        await new Promise((_, reject) => {
          const onAbort = () => {
            seen.aborted.push(context.signal.reason);
            reject(context.signal.reason);
          };
          seen.hanging++;
          if (context.signal.aborted) onAbort();
          else context.signal.addEventListener('abort', onAbort);
        });
      return PutResponse.create({
        prevKv: {
          key: request.key,
          value: request.value,
          createRevision: 1,
          modRevision: 2,
          version: 3,
          lease: request.lease,
        },
      });
    },
    async rangeStream(request, sink) {
      for (let i = 0; i < request.limit; i++)
        if (!sink.send({ rangeResponse: RangeResponse.create({ count: i }) })) await sink.drained();
    },
  });
  const watch = bind(Watch, {
    async watch(requests, sink) {
      for await (const request of requests) {
        assert.equal(request.requestUnion.case, 'createRequest');
        sink.send(
          WatchResponse.create({ watchId: (request.requestUnion.value as { watchId: number }).watchId, created: true }),
        );
      }
      sink.send(WatchResponse.create({ watchId: -1, canceled: true }));
    },
  });
  return { bound: [kv, watch], seen };
}

interface Carrier extends AsyncDisposable {
  readonly channel: Channel;
  readonly seen: ReturnType<typeof services>['seen'];
}

const carriers: Record<string, () => Promise<Carrier>> = {
  'in memory': async () => inMemory(false),
  'in memory, encoded': async () => inMemory(true),
  TCP: () => overSocket({ host: '127.0.0.1', port: 0 }, false),
  'unix socket': async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rpc-'));
    const carrier = await overSocket({ path: join(folder, 'socket') }, false);
    return {
      ...carrier,
      async [Symbol.asyncDispose]() {
        await carrier[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      },
    };
  },
  TLS: () => overSocket({ host: '127.0.0.1', port: 0 }, true),
};

function inMemory(encode: boolean): Carrier {
  const { bound, seen } = services();
  const channel = connectInMemory({ services: bound, clock: systemClock, encode });
  return { channel, seen, [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose]() };
}

async function overSocket(
  address: { host: string; port: number } | { path: string },
  secure: boolean,
): Promise<Carrier> {
  const { bound, seen } = services();
  const { listener, tls } = await serve(bound, address, secure);
  const target = parseTarget(
    'path' in address ? `unix://${address.path}` : `127.0.0.1:${listener.port}`,
    tls && { ca: tls.ca, certificate: tls.certificate, key: tls.key },
  );
  const channel = connectRpc({ target, clock: systemClock });
  return {
    channel,
    seen,
    async [Symbol.asyncDispose]() {
      await channel[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

async function serve(
  bound: ReturnType<typeof services>['bound'],
  address: { host: string; port: number } | { path: string },
  secure: boolean,
) {
  const dispatcher = createDispatcher({ services: bound, clock: systemClock });
  let tls: { ca: string; certificate: string; key: string } | undefined;
  if (secure) {
    const authority = await createAuthority({ commonName: 'test-ca' }, { clock: systemClock, prng: systemPrng() });
    const pair = await authority.issue({
      commonName: 'root',
      organizations: ['a', 'b'],
      ipAddresses: ['127.0.0.1'],
      usages: ['server', 'client'],
    });
    tls = { ca: authority.certificate, ...pair };
  }
  const listener: Listener = await listen({
    address,
    dispatcher,
    handler: async (request) => ({
      status: 200,
      headers: [['content-type', 'text/plain']],
      body: Buffer.from(`${request.protocol} ${request.target}`),
    }),
    ...(tls && { tls: { certificate: tls.certificate, key: tls.key, clientCa: tls.ca } }),
  });
  return { listener, tls };
}

for (const [name, start] of Object.entries(carriers))
  describe(`calls ${name}`, () => {
    test('a unary call: message, identity, metadata both ways', async () => {
      await using carrier = await start();
      let trailers: Metadata = [];
      const metadata: Metadata = [
        ['token', 'secret'],
        ['raw-bin', Buffer.from([0, 255, 7])],
      ];
      const reply = await carrier.channel.unary(
        KV.methods.range,
        RangeRequest.create({ key: Buffer.from('k'), limit: 7 }),
        {
          metadata,
          onTrailer: (received) => {
            trailers = received;
          },
        },
      );
      assert.equal(reply.count, 7);
      assert.deepEqual(trailers, [['trailing', 'yes']]);
      const [context] = carrier.seen.contexts;
      assert.deepEqual(
        context!.metadata.map(([key, value]) => [key, Buffer.from(value).toString('hex')]),
        metadata.map(([key, value]) => [key, Buffer.from(value).toString('hex')]),
      );
      if (name === 'TLS') assert.deepEqual(context!.peer.certificate?.organizations, ['a', 'b']);
    });

    test('large messages, and ids of 64 bits, arrive whole', async () => {
      await using carrier = await start();
      const value = Buffer.alloc(3 << 20, 'v');
      const reply = await carrier.channel.unary(
        KV.methods.put,
        PutRequest.create({ key: Buffer.from('k'), value, lease: 2n ** 62n + 1n }),
      );
      assert.equal(Buffer.compare(reply.prevKv!.value, value), 0);
      assert.equal(reply.prevKv!.lease, 2n ** 62n + 1n);
    });

    test('an error arrives with its code and its text to the letter', async () => {
      await using carrier = await start();
      await assert.rejects(
        carrier.channel.unary(KV.methods.put, PutRequest.create({ key: Buffer.from('fail') })),
        (error: RpcError) => {
          assert.equal(error.code, Code.FailedPrecondition);
          assert.equal(error.message, 'etcdserver: ünhappy 100%');
          return true;
        },
      );
    });

    test('a method without a handler is unimplemented', async () => {
      await using carrier = await start();
      await assert.rejects(carrier.channel.unary(KV.methods.compact, { revision: 1, physical: false }), {
        code: Code.Unimplemented,
      });
    });

    test('a deadline ends the call on both sides', async () => {
      await using carrier = await start();
      const { channel, seen } = carrier;
      // One that passes while the connection is still made never gets to the other side.
      for (let timeoutMs = 30; seen.hanging === 0; timeoutMs *= 2)
        await assert.rejects(
          channel.unary(KV.methods.put, PutRequest.create({ key: Buffer.from('hang') }), { timeoutMs }),
          {
            code: Code.DeadlineExceeded,
            message: 'context deadline exceeded',
          },
        );
      while (seen.aborted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    });

    test('cancelling reaches the handler', async () => {
      await using carrier = await start();
      const controller = new AbortController();
      const call = carrier.channel.unary(KV.methods.put, PutRequest.create({ key: Buffer.from('hang') }), {
        signal: controller.signal,
      });
      const refused = assert.rejects(call, { code: Code.Canceled, message: 'context canceled' });
      while (carrier.seen.hanging === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      controller.abort();
      await refused;
      while (carrier.seen.aborted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal((carrier.seen.aborted[0] as RpcError).code, Code.Canceled);
    });

    test('a server stream delivers everything in order, however slow the reader', async () => {
      await using carrier = await start();
      const call = carrier.channel.open(KV.methods.rangeStream);
      call.send(RangeRequest.create({ limit: 5000 }));
      call.closeSend();
      let expected = 0;
      for await (const { rangeResponse } of call.messages) {
        assert.equal(rangeResponse!.count, expected++);
        if (expected % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      assert.equal(expected, 5000);
    });

    test('both sides talk at once, and half-close is heard', async () => {
      await using carrier = await start();
      const call = carrier.channel.open(Watch.methods.watch);
      const ids: number[] = [];
      for (const watchId of [4, 5, 6])
        call.send(
          WatchRequest.create({
            requestUnion: {
              case: 'createRequest',
              value: {
                key: Buffer.from('k'),
                rangeEnd: Buffer.alloc(0),
                startRevision: 0,
                progressNotify: false,
                filters: [],
                prevKv: false,
                watchId,
                fragment: false,
              },
            },
          }),
        );
      for await (const message of call.messages) {
        ids.push(message.watchId);
        if (ids.length === 3) call.closeSend();
      }
      assert.deepEqual(ids, [4, 5, 6, -1]);
    });
  });

test("a server that is not there is unavailable, in grpc-go's words", async () => {
  await using channel = connectRpc({ target: parseTarget('127.0.0.1:1'), clock: systemClock });
  await assert.rejects(channel.unary(KV.methods.range, RangeRequest.create()), {
    code: Code.Unavailable,
    message:
      'connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"',
  });
});

test('one port answers gRPC, HTTP/1.1 and plain HTTP/2', async () => {
  const { bound } = services();
  const { listener } = await serve(bound, { host: '127.0.0.1', port: 0 }, false);
  await using _ = listener;
  const response = await fetch(`http://127.0.0.1:${listener.port}/health?x=1`);
  assert.equal(await response.text(), 'HTTP/1.1 /health?x=1');
  const { connect } = await import('node:http2');
  const session = connect(`http://127.0.0.1:${listener.port}`);
  const request = session.request({ ':path': '/version' });
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  session.close();
  assert.equal(text, 'HTTP/2.0 /version');
});

test('grpc-js calls us: unary, error, server stream, bidi', async () => {
  const { bound } = services();
  const { listener } = await serve(bound, { host: '127.0.0.1', port: 0 }, false);
  await using _ = listener;
  const client = new grpc.Client(`127.0.0.1:${listener.port}`, grpc.credentials.createInsecure());
  const unary = (key: string) =>
    new Promise<PutResponse>((resolve, reject) =>
      client.makeUnaryRequest(
        KV.methods.put.path,
        (message: PutRequest) => PutRequest.encode(message),
        (bytes) => PutResponse.decode(bytes),
        PutRequest.create({ key: Buffer.from(key), value: Buffer.alloc(100_000, 1) }),
        (error, value) => (error ? reject(error) : resolve(value!)),
      ),
    );
  assert.equal((await unary('k')).prevKv!.value.length, 100_000);
  await assert.rejects(unary('fail'), (error: grpc.ServiceError) => {
    assert.equal(error.code, 9);
    assert.equal(error.details, 'etcdserver: ünhappy 100%');
    return true;
  });
  const stream = client.makeBidiStreamRequest(
    Watch.methods.watch.path,
    (message: WatchRequest) => WatchRequest.encode(message),
    (bytes) => WatchResponse.decode(bytes),
  );
  stream.write(
    WatchRequest.create({
      requestUnion: {
        case: 'createRequest',
        value: {
          key: Buffer.from('k'),
          rangeEnd: Buffer.alloc(0),
          startRevision: 0,
          progressNotify: false,
          filters: [],
          prevKv: false,
          watchId: 9,
          fragment: false,
        },
      },
    }),
  );
  stream.end();
  const ids: number[] = [];
  for await (const message of stream as AsyncIterable<WatchResponse>) ids.push(message.watchId);
  assert.deepEqual(ids, [9, -1]);
  client.close();
});

test('we call grpc-js: unary, error', async () => {
  const server = new grpc.Server();
  server.addService(
    {
      put: {
        path: KV.methods.put.path,
        requestStream: false,
        responseStream: false,
        requestSerialize: (m: PutRequest) => PutRequest.encode(m),
        requestDeserialize: (b: Buffer) => PutRequest.decode(b),
        responseSerialize: (m: PutResponse) => PutResponse.encode(m),
        responseDeserialize: (b: Buffer) => PutResponse.decode(b),
      },
    },
    {
      put: ((call, callback) => {
        if (call.request.key.length === 0) callback({ code: 3, details: 'empty: 100%' });
        else
          callback(
            null,
            PutResponse.create({
              prevKv: {
                key: call.request.key,
                value: call.request.value,
                createRevision: 0,
                modRevision: 0,
                version: 0,
                lease: 0n,
              },
            }),
          );
      }) as grpc.handleUnaryCall<PutRequest, PutResponse>,
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  await using channel = connectRpc({ target: parseTarget(`127.0.0.1:${port}`), clock: systemClock });
  const value = Buffer.alloc(200_000, 2);
  const reply = await channel.unary(KV.methods.put, PutRequest.create({ key: Buffer.from('k'), value }));
  assert.equal(reply.prevKv!.value.length, 200_000);
  await assert.rejects(channel.unary(KV.methods.put, PutRequest.create()), { code: 3, message: 'empty: 100%' });
  server.forceShutdown();
});
