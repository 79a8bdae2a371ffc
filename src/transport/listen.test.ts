/** TLS and plain text on one address, told apart connection by connection: HTTP/1.1, HTTP/2, new certificates, and whoever says nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { type CertificateAuthority, createAuthority } from '#pki/certificate-authority.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { createFetch } from './fetch.ts';
import { type Listener, listen, type RejectedConnection } from './listen.ts';

const limit = { timeout: 20_000 };

const newAuthority = (commonName: string) =>
  createAuthority({ commonName }, { clock: systemClock, prng: systemPrng() });

const server = (authority: CertificateAuthority) =>
  authority.issue({ commonName: 'server', usages: ['server'], ipAddresses: ['127.0.0.1'] });

async function serveBoth(
  authority: CertificateAuthority,
  rejected?: (connection: RejectedConnection) => void,
): Promise<Listener> {
  return await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls: await server(authority),
    alsoPlain: true,
    handler: async ({ protocol, peer }) => ({
      status: 200,
      headers: [],
      body: utf8Encode(`${protocol} ${peer.secure === true ? 'over TLS' : 'in plain text'}`),
    }),
    ...(rejected && { rejected }),
  });
}

async function overHttp1(address: string, ca?: string): Promise<string> {
  await using fetch = createFetch({ address, ...(ca !== undefined && { tls: { ca } }) });
  const { body } = await fetch({
    ...{ method: 'GET', target: '/', headers: [], authority: 'a', protocol: 'HTTP/1.1' },
    body: (async function* () {})(),
    peer: { address: 'test' },
    signal: AbortSignal.timeout(limit.timeout),
  });
  return utf8Decode(body instanceof Uint8Array ? body : Buffer.concat(await Array.fromAsync(body)));
}

async function overHttp2(address: string, ca?: string): Promise<string> {
  const session = connectHttp2(address, { ...(ca !== undefined && { ca }) });
  try {
    const answer = session.request({ ':path': '/' });
    return Buffer.concat((await answer.toArray()) as Buffer[]).toString();
  } finally {
    session.close();
  }
}

test('each connection is what it begins as', limit, async () => {
  const authority = await newAuthority('one');
  await using listener = await serveBoth(authority);
  const { port } = listener;
  const ca = authority.certificate;
  for (let round = 0; round < 2; round++) {
    assert.equal(await overHttp1(`http://127.0.0.1:${port}`), 'HTTP/1.1 in plain text');
    assert.equal(await overHttp1(`https://127.0.0.1:${port}`, ca), 'HTTP/1.1 over TLS');
    assert.equal(await overHttp2(`http://127.0.0.1:${port}`), 'HTTP/2.0 in plain text');
    assert.equal(await overHttp2(`https://127.0.0.1:${port}`, ca), 'HTTP/2.0 over TLS');
  }
});

test('a first byte by itself is enough to tell, however late the rest comes', limit, async () => {
  const authority = await newAuthority('one');
  await using listener = await serveBoth(authority);
  const plain = connect(listener.port, '127.0.0.1');
  plain.write('G');
  await once(plain, 'connect');
  await new Promise((resolve) => setTimeout(resolve, 20));
  plain.write('ET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  assert.match(Buffer.concat((await plain.toArray()) as Buffer[]).toString(), /in plain text/);
  // A relay that lets the first byte go ahead.
  await using relay = await splitting(listener.port);
  assert.equal(await overHttp1(`https://127.0.0.1:${relay.port}`, authority.certificate), 'HTTP/1.1 over TLS');
});

/** Passes connections on, the first byte of each in a packet of its own. */
async function splitting(target: number): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(target, '127.0.0.1').setNoDelay(true);
    for (const each of [socket, onward]) {
      sockets.add(each);
      each.on('error', () => {});
    }
    onward.pipe(socket);
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      onward.write(chunk.subarray(0, 1));
      setTimeout(() => {
        onward.write(chunk.subarray(1));
        socket.pipe(onward);
      }, 20);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test('what begins as TLS and is none is turned away, and told of; new certificates are used', limit, async () => {
  const authority = await newAuthority('one');
  const told = Promise.withResolvers<RejectedConnection>();
  await using listener = await serveBoth(authority, told.resolve);
  const bad = connect(listener.port, '127.0.0.1');
  bad.on('error', () => {});
  bad.write(Buffer.from([0x16, 1, 2, 3, 4, 5, 6, 7]));
  assert.ok((await told.promise).error instanceof Error);
  const other = await newAuthority('two');
  listener.reload(await server(other));
  assert.equal(await overHttp1(`https://127.0.0.1:${listener.port}`, other.certificate), 'HTTP/1.1 over TLS');
  assert.equal(await overHttp1(`http://127.0.0.1:${listener.port}`), 'HTTP/1.1 in plain text');
});

test('whoever connects and says nothing does not keep it open', limit, async () => {
  const listener = await serveBoth(await newAuthority('one'));
  const silent = connect(listener.port, '127.0.0.1');
  silent.on('error', () => {});
  await once(silent, 'connect');
  await overHttp1(`http://127.0.0.1:${listener.port}`);
  await listener[Symbol.asyncDispose]();
});
