/**
 * Serves HTTP on a TCP port or a unix socket: HTTP/2 by our own engine, HTTP/1.1 by Node's, told apart by ALPN under TLS and by
 * the connection preface in plain text. gRPC shares the port: the dispatcher is asked first about every HTTP/2 stream.
 */
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcp, isIP, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTls, type TLSSocket } from 'node:tls';
import { systemClock } from '#host/clock.ts';
import type { Header } from '#wire/hpack/decoder.ts';
import type { ConnectionLimits, Http2Connection, Http2Stream, StreamHandler } from '#wire/http2/connection.ts';
import { preface } from '#wire/http2/frame.ts';
import { discard } from './discard.ts';
import type { HeaderList, HttpHandler, HttpPeer, HttpResponse } from './http.ts';
import { respondOnStream } from './http2-exchange.ts';
import { joinSocket } from './http2-socket.ts';
import { certificateOf } from './peer-certificate.ts';
import { roomIn } from './relay.ts';

export interface TlsConfig {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Authorities that client certificates are verified against; without it none is asked for. */
  readonly clientCa?: string;
  /**
   * Refuse clients without a valid certificate; otherwise they are anonymous. Without authorities of our own, those that the system trusts
   * count.
   */
  readonly requireClientCertificate?: boolean;
  /** Serial numbers in capital hexadecimal: a client with such a certificate is refused. */
  readonly revoked?: readonly string[];
  /** A client's certificate must have one of these common names. */
  readonly allowedCommonNames?: readonly string[];
  /** A client's certificate must be valid for one of these names. */
  readonly allowedHostnames?: readonly string[];
  /** Default TLS 1.2. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's names, separated by colons. Default: Node's. */
  readonly ciphers?: string;
}

export interface ListenOptions {
  readonly address:
    | {
        readonly host: string;
        readonly port: number;
        /** SO_REUSEPORT: other processes of this user that say so too share the port, and the kernel spreads connections over those that live. */
        readonly reusePort?: boolean;
      }
    | { readonly path: string };
  readonly tls?: TlsConfig;
  /** Beside TLS on the same address: whoever does not begin as TLS does is served in plain text. */
  readonly alsoPlain?: boolean;
  readonly handler: HttpHandler;
  /** Takes the HTTP/2 streams that are gRPC calls. */
  readonly dispatcher?: (
    stream: Http2Stream,
    headers: readonly Header[],
    endStream: boolean,
    peer: HttpPeer,
  ) => StreamHandler | undefined;
  readonly limits?: Partial<ConnectionLimits>;
  /** Told, for every HTTP/2 connection, how many bytes of answers its peer has not taken yet, when it opens and whenever that changes; 0 when it closes. */
  readonly untaken?: (peer: HttpPeer, bytes: number) => void;
  /** Told of every connection whose TLS handshake fails. */
  readonly rejected?: (connection: RejectedConnection) => void;
}

export interface RejectedConnection {
  /** `host:port`; empty on a unix socket. */
  readonly remoteAddress: string;
  /** What the client asked for (SNI); empty if nothing. */
  readonly serverName: string;
  readonly error: Error;
}

export interface Listener extends AsyncDisposable {
  /** The port in use; 0 for a unix socket. */
  readonly port: number;
  /** New connections use the new certificate and authorities; those that stand keep theirs. */
  reload(tls: TlsConfig): void;
}

const handshakeTimeoutMs = 10_000;
/** Requests in progress get this long when the listener closes. */
const drainMs = 5000;

export async function listen(options: ListenOptions): Promise<Listener> {
  const sockets = new Set<Socket>();
  const connections = new Set<Http2Connection>();
  const http1 = createHttp1({ maxHeaderSize: 64 << 10, keepAliveTimeout: 120_000, requestTimeout: 0 });
  http1.on('request', (request, response) => serveHttp1(options.handler, request, response));
  http1.on('upgrade', (request, socket, head) => serveUpgrade(options.handler, request, socket, head));

  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // Errors of a peer that goes away end its requests; nobody else needs to know.
    socket.on('error', () => {});
    socket.setNoDelay(true);
  };
  const serveHttp2 = (socket: Socket, secure: TLSSocket | undefined) => {
    const peer = peerOf(socket, secure);
    const { untaken } = options;
    const connection = joinSocket(
      socket,
      {
        role: 'server',
        accept: (stream, headers, endStream) =>
          options.dispatcher?.(stream, headers, endStream, peer) ??
          respondOnStream(stream, headers, endStream, peer, options.handler),
        ...(options.limits && { limits: options.limits }),
      },
      untaken && ((bytes) => untaken(peer, bytes)),
    );
    connections.add(connection);
    socket.on('close', () => connections.delete(connection));
  };

  const servePlain = (socket: Socket) =>
    sniffHttp2(socket, (isHttp2) => (isHttp2 ? serveHttp2(socket, undefined) : http1.emit('connection', socket)));

  let server: Server;
  let reload: Listener['reload'];
  if (options.tls === undefined) {
    server = createTcp((socket) => {
      track(socket);
      servePlain(socket);
    });
    reload = () => {
      throw new Error('the listener has no TLS');
    };
  } else {
    let allowed = options.tls;
    const secure = createTls(
      { ...tlsOptions(options.tls), ALPNProtocols: ['h2', 'http/1.1'], handshakeTimeout: handshakeTimeoutMs },
      (socket) => {
        track(socket);
        if (!isAllowed(socket, allowed)) {
          socket.destroy();
          return;
        }
        if (socket.alpnProtocol === 'h2') serveHttp2(socket, socket);
        else http1.emit('connection', socket);
      },
    );
    // A failed handshake is the client's problem.
    secure.on('tlsClientError', (error, socket) => {
      options.rejected?.({ ...whoAsked(socket), error });
      socket.destroy();
    });
    reload = (tls) => {
      secure.setSecureContext(tlsOptions(tls));
      allowed = tls;
    };
    server = !options.alsoPlain
      ? secure
      : createTcp((socket) => {
          track(socket);
          sniffTls(socket, (isTls) => {
            if (!isTls) return servePlain(socket);
            // From here on it is what TLS makes of it that is served, and closed.
            sockets.delete(socket);
            secure.emit('connection', socket);
          });
        });
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      'path' in options.address
        ? { path: options.address.path }
        : { host: options.address.host, port: options.address.port, reusePort: options.address.reusePort ?? false },
      () => {
        server.removeListener('error', reject);
        resolve();
      },
    );
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    reload,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of connections) connection.drain();
      http1.closeIdleConnections();
      const destroyAll = () => {
        for (const socket of sockets) socket.destroy();
      };
      for (const socket of sockets) {
        const busy = [...connections].some((connection) => connection.streams.size > 0);
        if (!busy) socket.end();
      }
      const deadline = systemClock.after(
        sockets.size === 0 || [...connections].every(({ streams }) => streams.size === 0) ? 0 : drainMs,
        destroyAll,
      );
      await closed;
      deadline[Symbol.dispose]();
    },
  };
}

function tlsOptions(config: TlsConfig) {
  const { certificate, key, clientCa, requireClientCertificate = false, minVersion, maxVersion } = config;
  return {
    cert: certificate,
    key,
    minVersion: minVersion ?? ('TLSv1.2' as const),
    ...(maxVersion !== undefined && { maxVersion }),
    ...(config.ciphers !== undefined && { ciphers: config.ciphers }),
    ...(clientCa !== undefined && { ca: clientCa }),
    ...((clientCa !== undefined || requireClientCertificate) && {
      requestCert: true,
      rejectUnauthorized: requireClientCertificate,
    }),
  };
}

/** The handshake has looked at who signed the certificate; here it is whose it is. */
function isAllowed(socket: TLSSocket, { allowedCommonNames, allowedHostnames, revoked }: TlsConfig): boolean {
  const anyName = allowedCommonNames === undefined && allowedHostnames === undefined;
  if (anyName && revoked === undefined) return true;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return anyName;
  if (revoked?.includes(certificate.serialNumber)) return false;
  if (anyName) return true;
  const { commonName } = certificateOf(socket) ?? {};
  return (
    (commonName !== undefined && allowedCommonNames?.includes(commonName)) ||
    (allowedHostnames ?? []).some((name) =>
      // What is no address may not even be asked for as one.
      isIP(name) === 0 ? certificate.checkHost(name, { subject: 'never' }) : certificate.checkIP(name),
    )
  );
}

function whoAsked({ remoteAddress, remotePort, servername }: TLSSocket): Omit<RejectedConnection, 'error'> {
  const host = remoteAddress?.includes(':') === true ? `[${remoteAddress}]` : remoteAddress;
  return {
    remoteAddress: host === undefined ? '' : `${host}:${remotePort}`,
    // `false` without one, whatever the types say.
    serverName: typeof servername === 'string' ? servername : '',
  };
}

/** The first byte of a TLS connection: a record of the handshake (RFC 8446, 5.1). */
const handshakeRecord = 0x16;

function sniffTls(socket: Socket, decide: (isTls: boolean) => void): void {
  sniff(socket, (seen) => seen[0] === handshakeRecord, decide);
}

function sniffHttp2(socket: Socket, decide: (isHttp2: boolean) => void): void {
  sniff(
    socket,
    (seen) => {
      const length = Math.min(seen.length, preface.length);
      const matches = seen.compare(preface, 0, length, 0, length) === 0;
      return matches && length < preface.length ? undefined : matches;
    },
    decide,
  );
}

/** Looks at the first bytes without taking them. @param judge undefined while there are too few to tell */
function sniff(
  socket: Socket,
  judge: (seen: Buffer) => boolean | undefined,
  decide: (judgement: boolean) => void,
): void {
  let seen = Buffer.alloc(0);
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const judgement = judge(seen);
    if (judgement === undefined) return;
    socket.removeListener('readable', onReadable);
    socket.unshift(seen);
    decide(judgement);
  };
  socket.on('readable', onReadable);
}

function peerOf(socket: Socket, secure: TLSSocket | undefined): HttpPeer {
  const address =
    socket.remoteAddress === undefined
      ? '@'
      : `${socket.remoteAddress.includes(':') ? `[${socket.remoteAddress}]` : socket.remoteAddress}:${socket.remotePort}`;
  const certificate = secure === undefined ? undefined : certificateOf(secure);
  return { address, ...(secure && { secure: true }), ...(certificate && { certificate }) };
}

function serveHttp1(handler: HttpHandler, request: IncomingMessage, response: ServerResponse): void {
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableEnded) gone.abort(new Error('client disconnected'));
  });
  ask(handler, request, gone.signal).then(
    (answer) => writeHttp1(answer, response),
    () => response.destroy(),
  );
}

async function writeHttp1(answer: HttpResponse, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, flatten(answer.headers));
  if (answer.push !== undefined) {
    response.flushHeaders();
    pushHttp1(answer.push, response);
    return;
  }
  if (answer.body instanceof Uint8Array) {
    response.end(answer.body);
    return;
  }
  response.flushHeaders();
  try {
    for await (const chunk of answer.body) {
      if (response.destroyed) return;
      if (!response.write(chunk)) await roomIn(response);
    }
    response.end();
  } catch {
    // The status is out already: all that can still be said is that the body is cut off.
    response.destroy();
  }
}

/** Chunks of one turn leave in one write to the socket. */
function pushHttp1(push: NonNullable<HttpResponse['push']>, response: ServerResponse): void {
  const source = push({
    write: (bytes) => response.writable && response.write(bytes),
    end: () => response.end(),
    destroy: (error) => response.destroy(error),
  });
  let told = false;
  const gone = () => {
    if (told) return;
    told = true;
    source.gone();
  };
  response.on('drain', () => source.room());
  response.on('error', gone);
  response.on('close', gone);
  if (response.closed) gone();
}

function serveUpgrade(handler: HttpHandler, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const gone = new AbortController();
  socket.on('close', () => gone.abort(new Error('client disconnected')));
  socket.on('error', () => {});
  const serve = async () => {
    const answer = await ask(handler, request, gone.signal);
    // Its close was told to the request; what takes the connection over now would wait for another one.
    if (socket.destroyed) return discard(answer);
    const lines = [
      `HTTP/1.1 ${answer.status} ${answer.upgrade === undefined ? 'Refused' : 'Switching Protocols'}`,
      ...answer.headers.map(([name, value]) => `${name}: ${value}`),
    ];
    if (answer.upgrade !== undefined) {
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
      answer.upgrade(socket, head);
      return;
    }
    const body = answer.body instanceof Uint8Array ? answer.body : Buffer.concat(await Array.fromAsync(answer.body));
    socket.end(
      Buffer.concat([
        Buffer.from(`${lines.join('\r\n')}\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`),
        body,
      ]),
    );
  };
  serve().catch(() => socket.destroy());
}

function ask(handler: HttpHandler, request: IncomingMessage, signal: AbortSignal): Promise<HttpResponse> {
  const headers: [string, string][] = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    headers.push([request.rawHeaders[i]!.toLowerCase(), request.rawHeaders[i + 1]!]);
  const socket = request.socket as Socket & Partial<TLSSocket>;
  return handler({
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    headers,
    authority: request.headers.host ?? '',
    protocol: 'HTTP/1.1',
    body: request,
    peer: peerOf(socket, socket.encrypted === true ? (socket as unknown as TLSSocket) : undefined),
    signal,
  });
}

function flatten(headers: HeaderList): string[] {
  return headers.flat();
}
