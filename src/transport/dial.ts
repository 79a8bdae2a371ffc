/** Opens a connection to a server: TCP or unix socket, with TLS or without. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { systemClock } from '#host/clock.ts';

export interface DialTarget {
  /** A unix socket's path, or host and port. */
  readonly address: { readonly path: string } | { readonly host: string; readonly port: number };
  /** The name of the server for HTTP; the SNI name too. */
  readonly authority: string;
  /** Client side of TLS: PEM. Undefined for plain text. */
  readonly tls?: {
    /** Trusted authorities. */
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    readonly secureContext?: SecureContext;
    /** Accept any certificate. */
    readonly insecure?: boolean;
    /** Name to verify instead of the authority's host. */
    readonly serverName?: string;
  };
}

/** Reads `unix:///path`, `unix:path` (from the working folder), `http://host:port`, `https://host:port` and `host:port`. Throws TypeError naming the text. */
export function parseTarget(text: string, tls?: DialTarget['tls']): DialTarget {
  const unix = /^unix:(?:\/\/)?(.+)$/.exec(text);
  if (unix !== null) return { address: { path: unix[1]! }, authority: 'localhost' };
  const match = /^(?:(https?):\/\/)?(\[[0-9a-fA-F:]+\]|[^:/]+):(\d{1,5})\/?$/.exec(text);
  if (match === null || Number(match[3]) > 65535) throw new TypeError(`not an address: ${JSON.stringify(text)}`);
  const [, scheme, host, port] = match;
  const secure = scheme === 'https' || (scheme === undefined && tls !== undefined);
  return {
    address: { host: host!.replace(/^\[|\]$/g, ''), port: Number(port) },
    authority: `${host}:${port}`,
    ...(secure && { tls: tls ?? {} }),
  };
}

/** @param protocols ALPN, most wanted first */
export function dial(
  target: DialTarget,
  {
    protocols,
    timeoutMs,
    signal,
  }: { readonly protocols: readonly string[]; readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { address, tls } = target;
    const where = 'path' in address ? { path: address.path } : { host: address.host, port: address.port };
    const socket =
      tls === undefined
        ? connectTcp(where)
        : connectTls({
            ...where,
            ALPNProtocols: [...protocols],
            ...(tls.ca !== undefined && { ca: tls.ca }),
            ...(tls.certificate !== undefined && { cert: tls.certificate }),
            ...(tls.key !== undefined && { key: tls.key }),
            ...(tls.secureContext !== undefined && { secureContext: tls.secureContext }),
            ...serverName(tls.serverName ?? ('host' in address ? address.host : 'localhost')),
            rejectUnauthorized: !tls.insecure,
          });
    socket.setNoDelay(true);
    const describe = 'path' in address ? `dial unix ${address.path}` : `dial tcp ${address.host}:${address.port}`;
    const deadline = systemClock.after(timeoutMs, () => socket.destroy(new Error('i/o timeout')));
    const onAbort = () => socket.destroy(new Error('operation was canceled'));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const settle = () => {
      deadline[Symbol.dispose]();
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: NodeJS.ErrnoException) => {
      settle();
      reject(new Error(`${describe}: ${dialText(error)}`, { cause: error }));
    };
    socket.once('error', fail);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      settle();
      socket.removeListener('error', fail);
      resolve(socket);
    });
  });
}

/** An IP address may not be an SNI name, but is verified all the same. */
function serverName(host: string): { servername?: string; host?: string } {
  return /^[\d.]+$|:/.test(host) ? {} : { servername: host };
}

/** As Go words the common failures. */
function dialText(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'connect: connection refused';
    case 'ENOENT':
      return 'connect: no such file or directory';
    case 'EHOSTUNREACH':
      return 'connect: no route to host';
    case 'ENETUNREACH':
      return 'connect: network is unreachable';
    default:
      return error.message;
  }
}
