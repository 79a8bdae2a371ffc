/**
 * An HTTP/1.1 client as an `HttpHandler`: what a component uses to reach a server over a socket instead of in memory. Keep-alive,
 * streaming both ways, TLS with client certificates, and upgrades.
 */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemClock } from '#host/clock.ts';
import { emptyBytes } from '#std/bytes.ts';
import { type DialTarget, parseTarget } from './dial.ts';
import {
  type BodySink,
  type BodySource,
  type HeaderList,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  header,
} from './http.ts';
import { relay, roomIn } from './relay.ts';

export interface FetchConfig {
  /** `https://host:port`, `http://host:port`, `host:port` or `unix:///path`. */
  readonly address: string;
  /** Client side of TLS: PEM. */
  readonly tls?: DialTarget['tls'];
  /** Connections at once; a watch holds one. */
  readonly connectionsMax?: number;
  /** Connections that nobody uses are closed after this. Default 60 s; below what the server grants, so that none is used that it closes. */
  readonly idleTimeoutMs?: number;
  /** Until a new connection stands, TLS included. Default: what the system grants. */
  readonly dialTimeoutMs?: number;
}

export interface Fetch extends HttpHandler, AsyncDisposable {
  /** New connections use the new certificate and authorities; those that stand keep theirs. Only for an address under TLS. */
  reload(tls: NonNullable<DialTarget['tls']>): void;
}

const idleTimeoutMsDefault = 60_000;

/** @throws TypeError for an address that is none. The handler rejects with the socket's error, worded as Node does. */
export function createFetch({
  address,
  tls,
  connectionsMax = 1024,
  idleTimeoutMs = idleTimeoutMsDefault,
  dialTimeoutMs,
}: FetchConfig): Fetch {
  const target = parseTarget(address, tls);
  const secure = target.tls;
  const options = { keepAlive: true, maxSockets: connectionsMax, timeout: idleTimeoutMs, noDelay: true };
  const agent = secure === undefined ? new HttpAgent(options) : new HttpsAgent({ ...options, ...tlsOptions(secure) });
  const start = secure === undefined ? requestHttp : requestHttps;
  const describe =
    'path' in target.address
      ? `dial unix ${target.address.path}`
      : `dial tcp ${target.address.host}:${target.address.port}`;
  const where =
    'path' in target.address
      ? { socketPath: target.address.path }
      : { host: target.address.host, port: target.address.port };

  const fetch = async (request: HttpRequest): Promise<HttpResponse> => {
    // Node sends no body with DELETE unless a header announces one.
    const announced = header(request.headers, 'content-length') ?? header(request.headers, 'transfer-encoding');
    const sends = announced !== undefined || !bodiless.has(request.method);
    const body = sends ? request.body[Symbol.asyncIterator]() : undefined;
    const first = request.method === 'DELETE' && announced === undefined ? await body?.next() : undefined;
    return await new Promise((resolve, reject) => {
      const outgoing = start({
        ...where,
        agent,
        method: request.method,
        path: request.target,
        headers: [
          ...(header(request.headers, 'host') === undefined ? ['host', target.authority] : []),
          ...request.headers.flat(),
          ...(first !== undefined && !first.done ? ['transfer-encoding', 'chunked'] : []),
        ],
        signal: request.signal,
      });
      if (dialTimeoutMs !== undefined) limitDial(outgoing, secure !== undefined, dialTimeoutMs, describe);
      outgoing.on('response', (incoming) =>
        resolve({
          status: incoming.statusCode!,
          headers: headersOf(incoming),
          body: incoming,
          push: (sink) => pushIncoming(incoming, sink),
        }),
      );
      outgoing.on('upgrade', (incoming, socket, head) => {
        // From here on Node does not listen: one that breaks before it is joined must not be the end of the process.
        socket.on('error', () => {});
        resolve({
          status: incoming.statusCode!,
          headers: headersOf(incoming),
          body: emptyBytes,
          upgrade: (connection, early) => join(connection, early, socket, head),
        });
      });
      outgoing.on('error', reject);
      sendBody(body, first, outgoing).catch((error: unknown) => {
        outgoing.destroy();
        reject(error);
      });
    });
  };
  return Object.assign(fetch, {
    reload(next: NonNullable<DialTarget['tls']>) {
      if (!(agent instanceof HttpsAgent)) throw new TypeError(`${address} has no TLS`);
      // Connections are pooled by what they were made with: those of the old certificate are never used again, and time out.
      Object.assign(agent.options, tlsOptions(next));
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
    },
  });
}

function tlsOptions(tls: NonNullable<DialTarget['tls']>) {
  const { ca, certificate, key, secureContext, serverName, insecure = false } = tls;
  return {
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(secureContext !== undefined && { secureContext }),
    ...(serverName !== undefined && { servername: serverName }),
    rejectUnauthorized: !insecure,
  };
}

/** Ends a request whose connection does not come to be. */
function limitDial(outgoing: ClientRequest, secure: boolean, timeoutMs: number, describe: string): void {
  outgoing.once('socket', (socket) => {
    // One that has waited for a free connection gets one that stands.
    const { connecting, secureConnecting = false } = socket as Socket & { readonly secureConnecting?: boolean };
    if (!(secure ? secureConnecting : connecting)) return;
    const deadline = systemClock.after(timeoutMs, () => outgoing.destroy(new Error(`${describe}: i/o timeout`)));
    const done = () => deadline[Symbol.dispose]();
    socket.once(secure ? 'secureConnect' : 'connect', done);
    outgoing.once('close', done);
  });
}

function pushIncoming(incoming: IncomingMessage, sink: BodySink): BodySource {
  let over = false;
  incoming.on('data', (chunk: Buffer) => {
    if (!sink.write(chunk)) incoming.pause();
  });
  incoming.on('end', () => {
    over = true;
    sink.end();
  });
  const cut = (error?: Error) => {
    if (over) return;
    over = true;
    sink.destroy(error ?? new Error('unexpected EOF'));
  };
  incoming.on('error', cut);
  incoming.on('close', () => cut());
  return {
    room: () => incoming.resume(),
    gone() {
      over = true;
      incoming.destroy();
    },
  };
}

/** These have a body only where a header announces one. */
const bodiless = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

async function sendBody(
  body: AsyncIterator<Uint8Array> | undefined,
  first: IteratorResult<Uint8Array> | undefined,
  outgoing: ClientRequest,
): Promise<void> {
  let next = first ?? (await body?.next());
  for (; next !== undefined && !next.done; next = await body!.next()) {
    if (outgoing.destroyed) {
      await body!.return?.();
      return;
    }
    if (!outgoing.write(next.value)) await roomIn(outgoing);
  }
  outgoing.end();
}

/** The caller's end of an upgraded connection and the socket become one. */
function join(connection: Duplex, early: Uint8Array, socket: Duplex, head: Uint8Array): void {
  if (early.length > 0) socket.write(early);
  if (head.length > 0) connection.write(head);
  relay(connection, socket);
}

function headersOf(incoming: IncomingMessage): HeaderList {
  const headers: [string, string][] = [];
  for (let i = 0; i < incoming.rawHeaders.length; i += 2)
    headers.push([incoming.rawHeaders[i]!.toLowerCase(), incoming.rawHeaders[i + 1]!]);
  return headers;
}
