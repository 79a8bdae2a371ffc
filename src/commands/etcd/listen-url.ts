/** Addresses that a server is told to listen on. */

export interface ListenUrl {
  readonly secure: boolean;
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
}

/** `http://host:port`, `https://[::1]:port`, `unix://name`, `unixs://name`. What is none was refused before. */
export function parseListenUrl(text: string): ListenUrl {
  const unix = /^(unixs?):\/\/(.+)$/.exec(text);
  if (unix !== null) return { secure: unix[1] === 'unixs', address: { path: unix[2]! } };
  const match = /^(https?):\/\/(\[[0-9a-fA-F:]+\]|[^:/]*):(\d{1,5})\/?$/.exec(text);
  if (match === null) throw new TypeError(`not a URL to listen on: ${JSON.stringify(text)}`);
  const host = match[2]!.replace(/^\[|\]$/g, '');
  // Nothing before the port is every address.
  return { secure: match[1] === 'https', address: { host: host === '' ? '::' : host, port: Number(match[3]) } };
}

/** An address to listen on; with both, TLS and plain text are told apart connection by connection. */
export interface ListenAddress extends Pick<ListenUrl, 'address'> {
  /** The first `https` or `unixs` URL that names it. */
  readonly secureUrl: string | undefined;
  readonly plain: boolean;
}

/** Each address once, however many URLs name it: `http` and `https` may share one. In order. */
export function listenAddresses(urls: readonly string[]): readonly ListenAddress[] {
  const byAddress = new Map<string, ListenAddress>();
  for (const url of urls) {
    const { secure, address } = parseListenUrl(url);
    const name = 'path' in address ? address.path : `${address.host} ${address.port}`;
    const known = byAddress.get(name) ?? { address, secureUrl: undefined, plain: false };
    byAddress.set(name, {
      ...known,
      secureUrl: known.secureUrl ?? (secure ? url : undefined),
      plain: known.plain || !secure,
    });
  }
  return [...byAddress.values()];
}
