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
