/**
 * Which credentials a registry is to be asked with, from a pod's pull secrets. Pure. A secret holds Docker's configuration: entries by registry, with a
 * path or with `*` in parts of the host; the most exact ones come first. Source: Kubernetes' credential provider keyring.
 */
import { AuthConfig } from '#api-cri/gen/api.ts';
import { parseJson } from '#kube-machinery/strict-json.ts';

type Values = ReadonlyMap<string, Uint8Array>;

interface Entry {
  readonly username?: unknown;
  readonly password?: unknown;
  /** base64 of `username:password`; wins. */
  readonly auth?: unknown;
}

/** Docker Hub's, under which its credentials stand whatever its images are called. */
const defaultRegistry = 'index.docker.io';

/**
 * To be tried in this order; empty: ask as nobody.
 * @param repository with its registry: `docker.io/library/nginx`, `registry.example:5000/team/app`
 * @param secrets of types dockerconfigjson and dockercfg; what is neither, or cannot be read, gives nothing
 */
export function pullCredentials(repository: string, secrets: Iterable<Values>): AuthConfig[] {
  const ring = new Map<string, AuthConfig[]>();
  for (const secret of secrets)
    for (const [registry, entry] of Object.entries(entriesOf(secret))) {
      const credentials = credentialsOf(entry, registry);
      const key = keyOf(registry);
      if (credentials === undefined || key === undefined) continue;
      ring.set(key, [...(ring.get(key) ?? []), credentials]);
    }
  // Reverse order puts longer paths before their beginnings.
  const found = [...ring.keys()]
    .sort()
    .reverse()
    .filter((key) => matches(key, repository))
    .flatMap((key) => ring.get(key)!);
  if (found.length > 0 || !repository.startsWith('docker.io/')) return found;
  return ring.get(defaultRegistry) ?? [];
}

function entriesOf(secret: Values): Readonly<Record<string, Entry>> {
  const read = (key: string): object | undefined => {
    const bytes = secret.get(key);
    if (bytes === undefined) return undefined;
    try {
      const { value } = parseJson(Buffer.from(bytes).toString('utf8'));
      return typeof value === 'object' && value !== null ? value : undefined;
    } catch {
      return undefined;
    }
  };
  const config = read('.dockerconfigjson') as { readonly auths?: Readonly<Record<string, Entry>> } | undefined;
  return config?.auths ?? (read('.dockercfg') as Readonly<Record<string, Entry>> | undefined) ?? {};
}

function credentialsOf(entry: Entry, serverAddress: string): AuthConfig | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  let { username, password } = entry;
  if (typeof entry.auth === 'string' && entry.auth !== '') {
    const plain = Buffer.from(entry.auth, 'base64').toString('utf8');
    const colon = plain.indexOf(':');
    if (colon < 0) return undefined;
    [username, password] = [plain.slice(0, colon), plain.slice(colon + 1)];
  }
  if (typeof username !== 'string' || typeof password !== 'string') return undefined;
  return AuthConfig.create({ username, password, serverAddress });
}

/** `https://host:port/v1/path` becomes `host:port/path`. */
function keyOf(registry: string): string | undefined {
  const [, rest] = /^(?:https?:\/\/)?(.+)$/.exec(registry) ?? [];
  if (rest === undefined) return undefined;
  const slash = rest.indexOf('/');
  if (slash < 0) return rest;
  const path = rest.slice(slash).replace(/^\/v[12](?=\/)/, '');
  return path === '/' ? rest.slice(0, slash) : rest.slice(0, slash) + path;
}

/** Hosts part by part, each with its own `*` and `?`; ports exactly; paths by their beginning. */
function matches(key: string, repository: string): boolean {
  const [wanted, asked] = [splitHost(key), splitHost(repository)];
  if (wanted.port !== asked.port || wanted.parts.length !== asked.parts.length) return false;
  return asked.path.startsWith(wanted.path) && wanted.parts.every((part, i) => glob(part, asked.parts[i]!));
}

function splitHost(text: string): { readonly parts: string[]; readonly port: string; readonly path: string } {
  const slash = text.indexOf('/');
  const authority = slash < 0 ? text : text.slice(0, slash);
  const [, host = authority, port = ''] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? [];
  return { parts: host.split('.'), port, path: slash < 0 ? '' : text.slice(slash) };
}

/** `*` is any characters, `?` one. In linear steps for each star: patterns come from users. */
function glob(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let i = 0;
  while (i < text.length)
    if (at < pattern.length && pattern[at] !== '*' && (pattern[at] === '?' || pattern[at] === text[i])) {
      at++;
      i++;
    } else if (pattern[at] === '*') {
      star = at++;
      resume = i;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else return false;
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
