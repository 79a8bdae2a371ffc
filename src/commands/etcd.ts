/**
 * `wherry etcd`: an etcd server of one member, under upstream's flags and `ETCD_` variables. What upstream has and this has not is
 * refused by name, never taken and forgotten.
 */
import { readFileSync } from 'node:fs';
import type { AutoCompaction } from '#etcd/auto-compactor.ts';
import { BootstrapError } from '#etcd/cluster/bootstrap.ts';
import { httpPeerTransport } from '#etcd/peers/http-transport.ts';
import { startEtcd } from '#etcd/start.ts';
import { serverVersion } from '#etcd/version.ts';
import { systemClock } from '#host/clock.ts';
import { hostDisk } from '#host/disk.ts';
import { LockedError } from '#host/lock-file.ts';
import { systemPrng } from '#host/random.ts';
import { Scope } from '#std/scope.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import { WalError } from '#storage/wal/wal.ts';
import { listen, type TlsConfig } from '#transport/listen.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { FlagError, parseGoDuration, parseGoFlags } from './go-flags.ts';
import { parseInitialCluster } from './initial-cluster.ts';

const flags = [
  'name',
  'data-dir',
  'listen-client-urls',
  'listen-metrics-urls',
  'advertise-client-urls',
  'initial-advertise-peer-urls',
  'initial-cluster',
  'initial-cluster-token',
  'initial-cluster-state',
  'listen-peer-urls',
  'heartbeat-interval',
  'election-timeout',
  'max-learners',
  'experimental-max-learners',
  'cert-file',
  'key-file',
  'trusted-ca-file',
  'watch-progress-notify-interval',
  'experimental-watch-progress-notify-interval',
  'max-request-bytes',
  'max-txn-ops',
  'quota-backend-bytes',
  'auto-compaction-mode',
  'auto-compaction-retention',
];
/** They tune upstream's own machinery: nothing for them to act on here. */
const withoutEffect = [
  'peer-cert-file',
  'peer-key-file',
  'peer-trusted-ca-file',
  'logger',
  'log-level',
  'log-outputs',
  'snapshot-count',
  'feature-gates',
];
const booleans = ['client-cert-auth', 'version', 'pre-vote', 'strict-reconfig-check'];
const booleansWithoutEffect = ['experimental-initial-corrupt-check', 'peer-client-cert-auth'];

export const etcd: Command = async (args, { env, stdout, stderr }) => {
  const values = readFlags(args, env);
  if (values.get('version') === 'true') {
    stdout.write(`etcd Version: ${serverVersion}\n`);
    return ExitCode.ok;
  }
  const log = (level: string, message: string, more: Readonly<Record<string, unknown>> = {}) =>
    stderr.write(`${JSON.stringify({ level, ts: new Date().toISOString(), msg: message, ...more })}\n`);
  const urls = (name: string, fallback: string) => (values.get(name) ?? fallback).split(',');
  const name = values.get('name') ?? 'default';
  const peerUrls = urls('initial-advertise-peer-urls', 'http://localhost:2380');
  const initialCluster = parseInitialCluster(
    values.get('initial-cluster') ?? peerUrls.map((url) => `${name}=${url}`).join(),
  );
  const heartbeatIntervalMs = numberFlag(values, 'heartbeat-interval') ?? 100;
  const electionTimeoutMs = numberFlag(values, 'election-timeout') ?? 1000;
  const interval =
    values.get('watch-progress-notify-interval') ?? values.get('experimental-watch-progress-notify-interval');
  const scope = new Scope();
  try {
    const peers = scope.use(
      httpPeerTransport({
        clock: systemClock,
        peerUrls,
        electionTimeoutMs,
        log: (message) => log('warn', message),
      }),
    );
    // Members of a cluster must hear each other before any of them is ready.
    for (const url of urls('listen-peer-urls', 'http://localhost:2380')) {
      const { secure, address } = parseListenUrl(url);
      if (secure) throw new CommandError(ExitCode.usage, `${url}: TLS between members is not built yet`);
      scope.use(await listen({ address, handler: peers.handler }));
    }
    const member = await startEtcd({
      config: {
        name,
        dataDir: values.get('data-dir') ?? `${name}.etcd`,
        peerUrls,
        clientUrls: urls('advertise-client-urls', 'http://localhost:2379'),
        initialCluster,
        initialClusterState: clusterState(values),
        heartbeatIntervalMs,
        electionTimeoutMs,
        preVote: values.get('pre-vote') !== 'false',
        strictReconfigCheck: values.get('strict-reconfig-check') !== 'false',
        ...optional(
          'learnersMax',
          numberFlag(values, 'max-learners') ?? numberFlag(values, 'experimental-max-learners'),
        ),
        ...optional('clusterToken', values.get('initial-cluster-token')),
        ...optional(
          'progressNotifyIntervalMs',
          interval === undefined ? undefined : duration('watch-progress-notify-interval', interval),
        ),
        ...optional('requestBytesMax', numberFlag(values, 'max-request-bytes')),
        ...optional('autoCompaction', autoCompaction(values)),
        // 0 is upstream's default there, and a negative number no limit.
        ...optional('quotaBytes', quotaFlag(values)),
        ...optional('txnOpsMax', numberFlag(values, 'max-txn-ops')),
      },
      deps: {
        clock: systemClock,
        prng: systemPrng(),
        disk: hostDisk,
        peers,
        log: (message) => log('warn', message),
      },
    });
    scope.use(member);
    const signalled = new Promise<string>((resolve) => {
      process.once('SIGTERM', () => resolve('terminated'));
      process.once('SIGINT', () => resolve('interrupt'));
    });
    // Nobody is let in before the member is part of its cluster.
    const early = await Promise.race([
      signalled,
      member.ready.then(() => undefined),
      member.failed.then(() => undefined),
    ]);
    if (early !== undefined) return ExitCode.ok;
    const tls = tlsConfig(values);
    const serve = async (text: string, dispatcher: typeof member.dispatcher | undefined) => {
      const { secure, address } = parseListenUrl(text);
      if (secure && tls === undefined)
        throw new CommandError(ExitCode.usage, `${text} needs --cert-file and --key-file`);
      scope.use(
        await listen({
          address,
          handler: dispatcher === undefined ? member.health : member.http,
          ...(dispatcher && { dispatcher }),
          ...(secure && tls && { tls }),
        }),
      );
    };
    for (const url of urls('listen-client-urls', 'http://localhost:2379')) await serve(url, member.dispatcher);
    // Health and metrics, for those who may not speak to the database.
    const metricsUrls = values.get('listen-metrics-urls');
    for (const url of metricsUrls === undefined ? [] : metricsUrls.split(',')) await serve(url, undefined);
    log('info', 'ready to serve client requests');
    const signal = await Promise.race([signalled, member.failed.then(() => undefined)]);
    // Better no server than one that refuses every write: whoever watches the process starts it again.
    if (signal === undefined) return ExitCode.failed;
    log('info', 'received signal; shutting down', { signal });
    return ExitCode.ok;
  } catch (error) {
    // A port or a folder that is taken, a damaged file: one line, not a trace.
    if (isAboutTheMachine(error))
      throw new CommandError(ExitCode.environment, (error as Error).message, { cause: error });
    throw error;
  } finally {
    await scope[Symbol.asyncDispose]();
  }
};

function isAboutTheMachine(error: unknown): boolean {
  if ([LockedError, WalError, BboltError, BootstrapError].some((type) => error instanceof type)) return true;
  return error instanceof Error && 'syscall' in error;
}

function readFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const known = new Set([...flags, ...withoutEffect]);
  const boolean = new Set([...booleans, ...booleansWithoutEffect]);
  try {
    // A flag wins over its variable.
    const fromEnvironment = [...known, ...boolean].flatMap((name) => {
      const value = env[`ETCD_${name.toUpperCase().replaceAll('-', '_')}`];
      return value === undefined || value === '' ? [] : [`--${name}=${value}`];
    });
    const { values, rest } = parseGoFlags([...fromEnvironment, ...args], known, boolean);
    if (rest.length > 0) throw new FlagError(`${JSON.stringify(rest[0])} is not a valid flag`);
    return values;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    throw new CommandError(ExitCode.usage, error.message, { cause: error });
  }
}

function clusterState(values: ReadonlyMap<string, string>): 'new' | 'existing' {
  const state = values.get('initial-cluster-state') ?? 'new';
  if (state !== 'new' && state !== 'existing')
    throw new CommandError(
      ExitCode.usage,
      `invalid value ${JSON.stringify(state)} for flag -initial-cluster-state: invalid value`,
    );
  return state;
}

function numberFlag(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = values.get(name);
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text))
    throw new CommandError(ExitCode.usage, `invalid value ${JSON.stringify(text)} for flag -${name}: parse error`);
  return Number(text);
}

function duration(name: string, text: string): number {
  try {
    return parseGoDuration(name, text);
  } catch (error) {
    throw new CommandError(ExitCode.usage, (error as Error).message, { cause: error });
  }
}

/** A plain number is hours in the mode by time, revisions in the other; 0 is off. */
function autoCompaction(values: ReadonlyMap<string, string>): AutoCompaction | undefined {
  const mode = values.get('auto-compaction-mode') ?? 'periodic';
  const retention = values.get('auto-compaction-retention') ?? '0';
  const name = 'auto-compaction-retention';
  if (mode === 'revision') {
    const retentionRevisions = numberFlag(values, name) ?? 0;
    return retentionRevisions === 0 ? undefined : { mode, retentionRevisions };
  }
  if (mode !== 'periodic')
    throw new CommandError(ExitCode.usage, `unknown auto-compaction-mode ${JSON.stringify(mode)}`);
  const retentionMs = /^\d+$/.test(retention) ? Number(retention) * 3_600_000 : duration(name, retention);
  return retentionMs === 0 ? undefined : { mode, retentionMs };
}

function quotaFlag(values: ReadonlyMap<string, string>): number | undefined {
  if (values.get('quota-backend-bytes')?.startsWith('-')) return 0;
  return numberFlag(values, 'quota-backend-bytes') || undefined;
}

function tlsConfig(values: ReadonlyMap<string, string>): TlsConfig | undefined {
  const certificate = values.get('cert-file');
  const key = values.get('key-file');
  if (certificate === undefined || key === undefined) return undefined;
  const clientCa = values.get('trusted-ca-file');
  const requireClientCertificate = values.get('client-cert-auth') === 'true';
  return {
    certificate: readText(certificate),
    key: readText(key),
    ...(clientCa !== undefined && { clientCa: readText(clientCa) }),
    requireClientCertificate,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(ExitCode.environment, (error as Error).message, { cause: error });
  }
}

function parseListenUrl(text: string): {
  readonly secure: boolean;
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
} {
  const unix = /^(unixs?):\/\/(.+)$/.exec(text);
  if (unix !== null) return { secure: unix[1] === 'unixs', address: { path: unix[2]! } };
  const match = /^(https?):\/\/(\[[0-9a-fA-F:]+\]|[^:/]+):(\d{1,5})\/?$/.exec(text);
  if (match === null) throw new CommandError(ExitCode.usage, `not a URL to listen on: ${JSON.stringify(text)}`);
  const host = match[2]!.replace(/^\[|\]$/g, '');
  return { secure: match[1] === 'https', address: { host, port: Number(match[3]) } };
}

function optional<K extends string, V>(name: K, value: V | undefined): { [name in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [name in K]: V });
}
