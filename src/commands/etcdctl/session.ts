/** What every verb of etcdctl works with: the connection, its flags, and where it prints. */
import { readFileSync } from 'node:fs';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import type { Scope } from '#std/scope.ts';
import { parseTarget } from '#transport/dial.ts';
import type { CommandContext } from '../command.ts';
import { durationMs, type FlagTable, type Parsed } from '../flags.ts';
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
    usage: 'set the output format (fields, json, simple, table)',
    default: 'simple',
  },
  hex: { kind: 'bool', usage: 'print byte strings as hex encoded strings' },
  'command-timeout': { kind: 'string', usage: 'timeout for short running command', default: '5s' },
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
  readonly call: CallOptions;
  readonly context: CommandContext;
  print(text: string): void;
  /** The same command against another endpoint. */
  at(endpoint: string): Session;
}

export interface Verb {
  readonly flags?: FlagTable;
  run(session: Session): Promise<void>;
}

/** @param scope owns the connections */
export function openSession(flags: Parsed, args: readonly string[], context: CommandContext, scope: Scope): Session {
  const format = flags.string('write-out')!;
  if (format !== 'simple' && format !== 'json' && format !== 'fields' && format !== 'table')
    throw wrong(`unsupported output format ${format}`, EtcdctlExit.badFeature);
  const endpoints = flags.string('endpoints')!.split(',');
  const call = { timeoutMs: durationMs(flags.string('command-timeout')!, 'command-timeout') };
  const at = (endpoint: string): Session => {
    const channel = scope.use(connectRpc({ target: parseTarget(endpoint, tlsOf(flags)), clock: systemClock }));
    return {
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
      at,
    };
  };
  return at(endpoints[0]!);
}

function tlsOf(flags: Parsed) {
  const file = (name: string) => {
    const path = flags.string(name);
    return path === undefined ? undefined : readFileSync(path, 'utf8');
  };
  const [ca, certificate, key] = [file('cacert'), file('cert'), file('key')];
  const insecure = flags.bool('insecure-skip-tls-verify');
  if (ca === undefined && certificate === undefined && !insecure) return undefined;
  return {
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    insecure,
  };
}

/** Upstream's exit codes. */
export const EtcdctlExit = { error: 1, badConnection: 2, invalidInput: 3, badFeature: 4, badArgs: 128 } as const;

/** A failure that etcdctl tells in its own words. */
export class EtcdctlError extends Error {
  override readonly name = 'EtcdctlError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Arguments that are wrong, unless another code says what else is. */
export function wrong(message: string, exitCode: number = EtcdctlExit.badArgs): EtcdctlError {
  return new EtcdctlError(message, exitCode);
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

export async function readStdin({ stdin }: CommandContext): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
