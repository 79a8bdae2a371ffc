/**
 * An HTTP/1.1 client as an `HttpHandler`: what a component uses to reach a server over a socket instead of in memory. Keep-alive,
 * streaming both ways, TLS with client certificates, and upgrades.
 */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import { emptyBytes } from '#std/bytes.ts';
import { type DialTarget, parseTarget } from './dial.ts';
import { type HeaderList, type HttpHandler, type HttpRequest, type HttpResponse, header } from './http.ts';
import { relay, roomIn } from './relay.ts';

export interface FetchConfig {
  /** `https://host:port`, `http://host:port`, `host:port` or `unix:///path`. */
  readonly address: string;
  /** Client side of TLS: PEM. */
  readonly tls?: DialTarget['tls'];
  /** Connections at once; a watch holds one. */
  readonly connectionsMax?: number;
}

const idleTimeoutMs = 60_000;

/** @throws TypeError for an address that is none. The handler rejects with the socket's error, worded as Node does. */
export function createFetch({ address, tls, connectionsMax = 1024 }: FetchConfig): HttpHandler & AsyncDisposable {
  const target = parseTarget(address, tls);
  const secure = target.tls;
  const options = { keepAlive: true, maxSockets: connectionsMax, timeout: idleTimeoutMs, noDelay: true };
  const agent =
    secure === undefined
      ? new HttpAgent(options)
      : new HttpsAgent({
          ...options,
          ...(secure.ca !== undefined && { ca: secure.ca }),
          ...(secure.certificate !== undefined && { cert: secure.certificate }),
          ...(secure.key !== undefined && { key: secure.key }),
          ...(secure.secureContext !== undefined && { secureContext: secure.secureContext }),
          ...(secure.serverName !== undefined && { servername: secure.serverName }),
          rejectUnauthorized: !secure.insecure,
        });
  const start = secure === undefined ? requestHttp : requestHttps;
  const where =
    'path' in target.address
      ? { socketPath: target.address.path }
      : { host: target.address.host, port: target.address.port };

  const fetch = async (request: HttpRequest): Promise<HttpResponse> => {
    const body = bodiless.has(request.method) ? undefined : request.body[Symbol.asyncIterator]();
    // Node sends no body with DELETE unless a header announces one.
    const announced = header(request.headers, 'content-length') ?? header(request.headers, 'transfer-encoding');
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
      outgoing.on('response', (incoming) =>
        resolve({ status: incoming.statusCode!, headers: headersOf(incoming), body: incoming }),
      );
      outgoing.on('upgrade', (incoming, socket, head) =>
        resolve({
          status: incoming.statusCode!,
          headers: headersOf(incoming),
          body: emptyBytes,
          upgrade: (connection, early) => join(connection, early, socket, head),
        }),
      );
      outgoing.on('error', reject);
      sendBody(body, first, outgoing).catch((error: unknown) => {
        outgoing.destroy();
        reject(error);
      });
    });
  };
  return Object.assign(fetch, {
    async [Symbol.asyncDispose]() {
      agent.destroy();
    },
  });
}

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
