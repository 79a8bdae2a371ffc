/** What every verb of etcdctl works with: the connection, its flags, and where it prints. */
import { resolveSrv } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { AuthenticatedChannel, authenticate, type User } from '#etcd-client/authenticated-channel.ts';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import type { Scope } from '#std/scope.ts';
import { type DialTarget, parseTarget } from '#transport/dial.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { CommandContext } from '../command.ts';
import { durationMs, type FlagTable, type Parsed } from '../flags.ts';
import { EtcdctlExit, wrong } from './exit.ts';
import { getPage, type Page } from './page.ts';
import { askPassword } from './password.ts';
import type { Format } from './print.ts';

export const globalFlags: FlagTable = {
  endpoints: { kind: 'string', usage: 'gRPC endpoints', default: '127.0.0.1:2379' },
  cacert: { kind: 'string', usage: 'verify certificates of TLS-enabled servers using this CA bundle' },
  cert: { kind: 'string', usage: 'identify secure client using this TLS certificate file' },
  key: { kind: 'string', usage: 'identify secure client using this TLS key file' },
  'insecure-skip-tls-verify': { kind: 'bool', usage: 'skip server certificate verification' },
  'write-out': {
    short: 'w',
    kind: 'string',
    usage: 'set the output format (fields, json, protobuf, simple, table)',
    default: 'simple',
  },
  hex: { kind: 'bool', usage: 'print byte strings as hex encoded strings' },
  'command-timeout': { kind: 'string', usage: 'timeout for short running command', default: '5s' },
  user: { kind: 'string', usage: 'username[:password] for authentication (prompt if password is not supplied)' },
  password: {
    kind: 'string',
    usage: "password for authentication (if this option is used, --user option shouldn't include password)",
  },
  'dial-timeout': { kind: 'string', usage: 'dial timeout for client connections', default: '2s' },
  'keepalive-time': { kind: 'string', usage: 'keepalive time for client connections', default: '2s' },
  'keepalive-timeout': { kind: 'string', usage: 'keepalive timeout for client connections', default: '6s' },
  'insecure-transport': {
    kind: 'bool',
    usage: 'disable transport security for client connections',
    default: 'true',
  },
  'insecure-discovery': {
    kind: 'bool',
    usage: 'accept insecure SRV records describing cluster endpoints',
    default: 'true',
  },
  'discovery-srv': {
    short: 'd',
    kind: 'string',
    usage: 'domain name to query for SRV records describing cluster endpoints',
    default: '',
  },
  'discovery-srv-name': { kind: 'string', usage: 'service name to query when using DNS discovery', default: '' },
  debug: { kind: 'bool', usage: 'print the flags to standard error' },
};

export interface Session {
  readonly endpoint: string;
  readonly endpoints: readonly string[];
  readonly channel: Channel;
  readonly client: EtcdClient;
  readonly flags: Parsed;
  /** Operands after the verb. */
  readonly args: readonly string[];
  readonly format: Format;
  readonly hex: boolean;
  /** For calls that answer once. */
  readonly call: CallOptions & { readonly timeoutMs: number };
  readonly context: CommandContext;
  print(text: string): void;
  /** The same command against another endpoint. */
  at(endpoint: string): Session;
  /**
   * A connection of its own.
   * @param prefix of the flags that say how: `dest-`
   */
  connectTo(endpoint: string, prefix?: '' | 'dest-'): Promise<Channel>;
  /**
   * A page beside the calls: `/metrics`.
   * @param address elsewhere than at {@link endpoint}: a peer's
   * @throws Error
   */
  get(path: string, address?: string): Promise<Page>;
  /** Where an address leads, and by which TLS; undefined for what is none. */
  targetOf(endpoint: string): DialTarget | undefined;
  /** 0 is no limit of its own. */
  readonly dialTimeoutMs: number;
}

export interface Verb {
  readonly flags?: FlagTable;
  run(session: Session): Promise<void>;
}

/** @param scope owns the connections. @throws EtcdctlError, also for a password that is not right */
export async function openSession(
  flags: Parsed,
  args: readonly string[],
  context: CommandContext,
  scope: Scope,
): Promise<Session> {
  const format = flags.string('write-out')!;
  if (format !== 'simple' && format !== 'json' && format !== 'fields' && format !== 'table' && format !== 'protobuf')
    throw wrong('unsupported output format', EtcdctlExit.badFeature);
  if (flags.bool('debug'))
    for (const name of Object.keys(globalFlags))
      context.stderr.write(`ETCDCTL_${name.toUpperCase().replaceAll('-', '_')}=${flags.string(name) ?? ''}\n`);
  const endpoints = await endpointsOf(flags, context);
  const ms = (name: string) => durationMs(flags.string(name)!, name);
  const call = { timeoutMs: ms('command-timeout') };
  const keepAlive = { timeMs: ms('keepalive-time'), timeoutMs: ms('keepalive-timeout') };
  const dialMs = ms('dial-timeout');
  // 0 is no limit of its own.
  const connecting = { ...(dialMs > 0 && { connectTimeoutMs: dialMs }), keepAlive, clock: systemClock };
  const dial = (prefix: '' | 'dest-', first: string, ...others: readonly string[]) => {
    const tls = tlsOf(flags, prefix);
    const alternatives = others.map((endpoint) => targetOf(endpoint, tls));
    return scope.use(connectRpc({ target: targetOf(first, tls), alternatives, ...connecting }));
  };
  // Another endpoint is tried while there is no connection; a request that was sent is not sent again.
  const all = dial('', ...(endpoints as [string, ...string[]]));
  const user = await userOf('', flags, context);
  // One that takes the connection and does not answer is not the last to be asked who we are.
  const others = endpoints.slice(1).map((endpoint) => () => dial('', endpoint));
  const token = user && (await tokenOf([() => all, ...others], user, call));
  const authorized = (channel: Channel) =>
    new AuthenticatedChannel(channel, { clock: systemClock, ...(user && { user }), token });
  const sessionOf = (endpoint: string, channel: Channel): Session => ({
    endpoint,
    endpoints,
    channel,
    client: scope.use(createEtcdClient(channel, systemClock)),
    flags,
    args,
    format,
    hex: flags.bool('hex'),
    call,
    context,
    print: (text) => context.stdout.write(Buffer.from(text, 'latin1')),
    at: (other) => sessionOf(other, authorized(dial('', other))),
    async connectTo(other, prefix = '') {
      const channel = dial(prefix, other);
      if (prefix === '') return authorized(channel);
      const its = await userOf(prefix, flags, context);
      const given = its && (await tokenOf([() => channel], its, call));
      return new AuthenticatedChannel(channel, { clock: systemClock, ...(its && { user: its }), token: given });
    },
    get(path, where = endpoint) {
      const { tls } = targetOf(where, tlsOf(flags, ''));
      const address = /^\w+:/.test(where) ? where : `${tls === undefined ? 'http' : 'https'}://${where}`;
      const { timeoutMs } = call;
      return getPage({ address, path, tls, timeoutMs, dialTimeoutMs: dialMs, now: () => systemClock.now() });
    },
    targetOf(where) {
      try {
        return parseTarget(where, tlsOf(flags, ''));
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        return undefined;
      }
    },
    dialTimeoutMs: dialMs,
  });
  return sessionOf(endpoints[0]!, authorized(all));
}

/** Whom the flags name; a password that they leave out is asked for. */
async function userOf(prefix: '' | 'dest-', flags: Parsed, context: CommandContext): Promise<User | undefined> {
  const user = flags.string(`${prefix}user`) ?? '';
  if (user === '') return undefined;
  const given = flags.string(`${prefix}password`) ?? '';
  const colon = user.indexOf(':');
  const asked = () => askPassword(context, prefix === '' ? 'Password: ' : 'Destination Password: ');
  const name = given === '' && colon >= 0 ? user.slice(0, colon) : user;
  return { name, password: given !== '' ? given : colon >= 0 ? user.slice(colon + 1) : await asked() };
}

/** @param channels asked in turn, while no answer comes in time */
async function tokenOf(
  channels: readonly (() => Channel)[],
  user: User,
  call: CallOptions,
): Promise<string | undefined> {
  for (const [i, channel] of channels.entries())
    try {
      return await authenticate(channel(), user, call);
    } catch (error) {
      const { code, message } = RpcError.from(error);
      const isLast = i === channels.length - 1;
      if (isLast || code !== Code.DeadlineExceeded) throw wrong(message, EtcdctlExit.badConnection);
    }
  return undefined;
}

/** @throws EtcdctlError naming what is no address */
function targetOf(endpoint: string, tls: ReturnType<typeof tlsOf>): DialTarget {
  try {
    return parseTarget(endpoint, tls);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw wrong(error.message, EtcdctlExit.badConnection);
  }
}

/** Named, or found by DNS: `_etcd-client-ssl._tcp` and `_etcd-client._tcp`. */
async function endpointsOf(flags: Parsed, { stderr }: CommandContext): Promise<readonly string[]> {
  const domain = flags.string('discovery-srv')!;
  if (domain === '')
    return flags
      .string('endpoints')!
      .split(',')
      .map((endpoint) => endpoint.trim());
  const suffix = flags.string('discovery-srv-name');
  const service = (name: string) => `_${name}${suffix ? `-${suffix}` : ''}._tcp.${domain}`;
  const find = async (name: string, scheme: string) =>
    (await resolveSrv(service(name)).catch(() => [])).map(({ name: host, port }) => `${scheme}://${host}:${port}`);
  const found = [...(await find('etcd-client-ssl', 'https')), ...(await find('etcd-client', 'http'))];
  if (found.length === 0)
    throw wrong(`error querying DNS SRV records for _etcd-client of ${domain}`, EtcdctlExit.error);
  if (flags.bool('insecure-discovery')) return found;
  return found.filter((endpoint) => {
    if (endpoint.startsWith('https:')) return true;
    stderr.write(`ignoring discovered insecure endpoint ${JSON.stringify(endpoint)}\n`);
    return false;
  });
}

function tlsOf(flags: Parsed, prefix: '' | 'dest-') {
  const file = (name: string) => {
    const path = flags.string(`${prefix}${name}`);
    if (path === '' && flags.has(`${prefix}${name}`)) throw wrong(`empty string is passed to --${name} option`);
    return path === undefined || path === '' ? undefined : readFileSync(path, 'utf8');
  };
  const [ca, certificate, key] = [file('cacert'), file('cert'), file('key')];
  const insecure = prefix === '' && flags.bool('insecure-skip-tls-verify');
  const plain = flags.bool(`${prefix}insecure-transport`);
  if (ca === undefined && certificate === undefined && !insecure && plain) return undefined;
  return {
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    insecure,
  };
}

export function bytes(text: string): Buffer {
  return Buffer.from(text);
}

/** Operands as numbers, in Go's words when they are none. */
export function integer(text: string, what: string): number {
  if (!/^[+-]?\d+$/.test(text))
    throw wrong(`${what} (strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax)`);
  return Number(text);
}

/** Leases are written in hexadecimal. */
export function leaseId(text: string): bigint {
  if (!/^[0-9a-fA-F]{1,16}$/.test(text))
    throw wrong(
      `bad lease ID arg (strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax), expecting ID in Hex`,
    );
  return BigInt.asIntN(64, BigInt(`0x${text}`));
}

export { EtcdctlError, EtcdctlExit, readStdin, wrong } from './exit.ts';
