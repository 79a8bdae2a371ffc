/**
 * The load of `bench/apiserver.ts`: a process of its own, so that the client's time is not the server's. HTTP/2 over TLS on our own engine, which
 * reads nothing of the answers but their length and their lines. Told what to do, one thing at a time, by messages from its parent.
 */
import { dial, parseTarget } from '#transport/dial.ts';
import { joinSocket } from '#transport/http2-socket.ts';
import type { Header } from '#wire/hpack/decoder.ts';
import type { Http2Connection } from '#wire/http2/connection.ts';

export interface Target {
  readonly address: string;
  /** PEM. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export type Order =
  | { readonly what: 'connect'; readonly target: Target; readonly connections: number }
  /** Requests, `parallel` at a time, over all connections; each path in turn. */
  | {
      readonly what: 'requests';
      readonly paths: readonly string[];
      readonly count: number;
      readonly parallel: number;
      readonly headers: readonly Header[];
    }
  /** Answers `ready` when all watches stand, and the result when together they have seen `events` lines. */
  | { readonly what: 'watch'; readonly path: string; readonly watchers: number; readonly events: number };

export interface Result {
  readonly seconds: number;
  readonly bytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export type Report = { readonly what: 'ready' } | ({ readonly what: 'result' } & Result);

/** As a Go client has them. */
const limits = { streamWindowBytes: 4 << 20, connectionWindowBytes: 1 << 30 };

const connections: Http2Connection[] = [];
let authority = '';

async function connect({ address, ...tls }: Target, count: number): Promise<void> {
  const target = parseTarget(address, tls);
  ({ authority } = target);
  for (let i = 0; i < count; i++) {
    const socket = await dial(target, { protocols: ['h2'], timeoutMs: 10_000 });
    connections.push(joinSocket(socket, { role: 'client', limits }));
  }
}

/** One request; resolves with the bytes of its answer. */
function request(
  connection: Http2Connection,
  path: string,
  onData: (chunk: Buffer) => void,
  more: readonly Header[] = [],
): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const headers: Header[] = [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', authority],
      [':path', path],
      ...(more.some(([name]) => name === 'accept') ? [] : [['accept', 'application/json, */*'] as const]),
      ['user-agent', 'bench/v1.36.0'],
      ...more,
    ];
    const stream = connection.open(headers, true, {
      headers(received, end) {
        const status = received.find(([name]) => name === ':status')?.[1];
        if (status !== '200') reject(new Error(`${path}: ${status}`));
        if (end) resolve(bytes);
      },
      data(chunk, end) {
        bytes += chunk.length;
        onData(chunk);
        stream?.consume(chunk.length);
        if (end) resolve(bytes);
      },
      reset: (_code, message) => reject(new Error(message)),
      writable() {},
    });
    if (stream === undefined) reject(new Error('no more streams'));
  });
}

async function requests({ paths, count, parallel, headers }: Order & { readonly what: 'requests' }): Promise<Result> {
  const times: number[] = [];
  let next = 0;
  let bytes = 0;
  const start = performance.now();
  const lane = async (connection: Http2Connection) => {
    while (next < count) {
      const path = paths[next++ % paths.length]!;
      const sent = performance.now();
      bytes += await request(connection, path, () => {}, headers);
      times.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: parallel }, (_, i) => lane(connections[i % connections.length]!)));
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? 0;
  return { seconds: (performance.now() - start) / 1000, bytes, p50Ms: at(0.5), p99Ms: at(0.99) };
}

const newline = 10;

/** Seconds are from the first line that any watch saw. */
async function watch(path: string, watchers: number, events: number, ready: () => void): Promise<Result> {
  let seen = 0;
  let bytes = 0;
  let first = 0;
  const all = Promise.withResolvers<void>();
  const standing = Array.from({ length: watchers }, (_, i) =>
    request(connections[i % connections.length]!, path, (chunk) => {
      first ||= performance.now();
      bytes += chunk.length;
      for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, at + 1)) seen++;
      if (seen >= events) all.resolve();
    }),
  );
  // They end with the connections.
  for (const one of standing) one.catch(all.reject);
  // Whoever is answered after the watches were sent finds them standing.
  await Promise.all(connections.map((connection) => request(connection, '/version', () => {})));
  ready();
  await all.promise;
  const seconds = (performance.now() - first) / 1000;
  return { seconds, bytes, p50Ms: 0, p99Ms: 0 };
}

const report = (message: Report) => process.send!(message);

process.on('message', async (order: Order) => {
  switch (order.what) {
    case 'connect':
      await connect(order.target, order.connections);
      report({ what: 'ready' });
      return;
    case 'requests':
      report({ what: 'result', ...(await requests(order)) });
      return;
    case 'watch':
      report({
        what: 'result',
        ...(await watch(order.path, order.watchers, order.events, () => report({ what: 'ready' }))),
      });
  }
});
process.on('disconnect', () => process.exit());
