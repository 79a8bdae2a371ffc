/**
 * `wherry etcd`: an etcd server, one member alone or of a cluster, under upstream's flags, `ETCD_` variables or configuration file. What upstream
 * has and this has not is refused by name, never taken and forgotten.
 */
import { readFileSync } from 'node:fs';
import { budgetBytesMin } from '#etcd/admission/budget.ts';
import { parseTokenOptions, type TokenOptions } from '#etcd/auth/token-options.ts';
import { TokenOptionsError } from '#etcd/auth/tokens.ts';
import type { AutoCompaction } from '#etcd/auto-compactor.ts';
import { BootstrapError } from '#etcd/cluster/bootstrap.ts';
import { InconsistentError } from '#etcd/cluster/initial-check.ts';
import { type HttpPeerTransport, httpPeerTransport } from '#etcd/peers/http-transport.ts';
import { type Etcd, type EtcdConfig, startEtcd } from '#etcd/start.ts';
import { serverVersion } from '#etcd/version.ts';
import { systemClock } from '#host/clock.ts';
import { type Disk, hostDisk } from '#host/disk.ts';
import { LockedError } from '#host/lock-file.ts';
import { systemPrng } from '#host/random.ts';
import { Scope } from '#std/scope.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import { WalError } from '#storage/wal/wal.ts';
import { type Listener, type ListenOptions, listen, type TlsConfig } from '#transport/listen.ts';
import { type Command, CommandError, ExitCode } from '../command.ts';
import { FlagError, parseGoDuration } from '../go-flags.ts';
import { parseInitialCluster } from '../initial-cluster.ts';
import { loadTls, selfSigned, type TlsFiles, tlsFiles, watchTls } from './client-tls.ts';
import { type ListenAddress, listenAddresses, parseListenUrl } from './listen-url.ts';
import { createLog, type Log, logProblem } from './log.ts';
import { readSettings, type Settings, SettingsError } from './settings.ts';
import { usage } from './usage.ts';

export const etcd: Command = async (args, { env, stdout, stderr }) => {
  const early = createLog({ level: 'info', format: 'json', outputs: ['stderr'], stdout, stderr });
  let settings: Settings;
  try {
    settings = readSettings({
      args,
      env,
      readFile: (path) => readFileSync(path, 'utf8'),
      warn: (message, more) => early('warn', message, more),
    });
    if (settings.bool('version')) {
      stdout.write(`etcd Version: ${serverVersion}\n`);
      return ExitCode.ok;
    }
    check(settings);
  } catch (error) {
    if (error instanceof FlagError && error.message === 'flag: help requested') {
      stderr.write(usage());
      return ExitCode.ok;
    }
    if (error instanceof FlagError) {
      stderr.write(`${error.message}\n${usage()}`);
      return ExitCode.usage;
    }
    if (!(error instanceof SettingsError)) throw error;
    early('warn', 'failed to verify flags', { error: error.message });
    return ExitCode.failed;
  }
  const log = createLog({
    level: settings.string('log-level'),
    format: settings.string('log-format'),
    outputs: settings.list('log-outputs'),
    stdout,
    stderr,
  });
  log('info', 'Running: ', { args });
  const scope = new Scope();
  try {
    return await run(settings, log, scope);
  } catch (error) {
    if (error instanceof SettingsError || error instanceof TokenOptionsError) {
      log('fatal', 'discovery failed', { error: error.message });
      return ExitCode.failed;
    }
    if (error instanceof InconsistentError) {
      log('error', 'checkInitialHashKV failed', { error: error.message });
      log('fatal', 'discovery failed', { error: error.message });
      return ExitCode.failed;
    }
    // A port or a folder that is taken, a damaged file: one line, not a trace.
    if (isAboutTheMachine(error))
      throw new CommandError(ExitCode.environment, (error as Error).message, { cause: error });
    throw error;
  } finally {
    await scope[Symbol.asyncDispose]();
  }
};

async function run(settings: Settings, log: Log, scope: Scope): Promise<number> {
  const dataDir = settings.string('data-dir') || `${settings.string('name')}.etcd`;
  const clientFiles = await certificatesOf(settings, '', dataDir);
  const peerFiles = await certificatesOf(settings, 'peer-', dataDir);
  const peers = scope.use(startPeers(settings, peerFiles, log));
  // Members of a cluster must hear each other before any of them is ready.
  const peerPorts = new Ports(peerFiles, scope, rejectedOn('peer', log));
  for (const address of listenAddresses(settings.list('listen-peer-urls')))
    await peerPorts.open(address, { handler: peers.handler }, missingCertificate('peer'));
  watchPort(scope, peerFiles, log, (tls) => {
    peerPorts.reload(tls);
    peers.reload(dialTls(tls, settings));
  });
  const member = await startMember(settings, { dataDir, peers, log });
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
  const clientPorts = new Ports(clientFiles, scope, rejectedOn('client', log));
  const { dispatcher, untaken, http, health } = member;
  const limits = { streamsMax: Math.min(settings.number('max-concurrent-streams'), streamsMax) };
  const httpUrls = settings.list('listen-client-http-urls');
  // With ports of its own for HTTP, the others speak gRPC alone.
  const onGrpc = httpUrls.length === 0 ? http : noHttp;
  for (const address of listenAddresses(settings.list('listen-client-urls')))
    await clientPorts.open(address, { handler: onGrpc, dispatcher, untaken, limits }, missingCertificate('client'));
  for (const address of listenAddresses(httpUrls))
    await clientPorts.open(address, { handler: http, untaken }, missingCertificate('client'));
  // Health and metrics, for those who may not speak to the database.
  for (const address of listenAddresses(settings.list('listen-metrics-urls')))
    await clientPorts.open(address, { handler: health }, missingCertificate('metrics'));
  watchPort(scope, clientFiles, log, (tls) => clientPorts.reload(tls));
  log('info', 'ready to serve client requests');
  const signal = await Promise.race([signalled, member.failed.then(() => undefined)]);
  // Better no server than one that refuses every write: whoever watches the process starts it again.
  if (signal === undefined) return ExitCode.failed;
  log('info', 'received signal; shutting down', { signal });
  return ExitCode.ok;
}

/** Streams of one connection: upstream's default is no bound. */
const streamsMax = 1 << 20;

const noHttp = async () => ({ status: 404, headers: [], body: Buffer.from('404 page not found\n') });

/** What upstream's Validate looks at, in its order and words. */
function check(settings: Settings): void {
  const [level, format] = [settings.string('log-level'), settings.string('log-format')];
  const logger = settings.string('logger');
  if (logger !== 'zap' && logger !== 'capnslog')
    throw new SettingsError(`unknown logger option ${JSON.stringify(logger)}`);
  const problem = logProblem({ level, format });
  if (problem !== undefined) throw new SettingsError(problem);
  for (const name of ['listen-peer-urls', 'listen-client-urls', 'listen-client-http-urls', 'listen-metrics-urls'])
    for (const url of settings.list(name)) {
      const { address } = parseListenUrl(url);
      if ('host' in address && address.host !== 'localhost' && !/^[\d.]+$|:/.test(address.host))
        throw new SettingsError(`expected IP in URL for binding (${url})`);
    }
  if (settings.has('listen-client-urls') && !settings.has('advertise-client-urls'))
    throw new SettingsError('--advertise-client-urls is required when --listen-client-urls is set explicitly');
  const [heartbeat, election] = [settings.number('heartbeat-interval'), settings.number('election-timeout')];
  if (heartbeat === 0) throw new SettingsError(`--heartbeat-interval must be >0 (set to ${heartbeat}ms)`);
  if (election === 0) throw new SettingsError(`--election-timeout must be >0 (set to ${election}ms)`);
  if (5 * heartbeat > election)
    throw new SettingsError(
      `--election-timeout[${election}ms] should be at least as 5 times as --heartbeat-interval[${heartbeat}ms]`,
    );
  if (election > electionMsMax)
    throw new SettingsError(
      `--election-timeout[${election}ms] is too long, and should be set less than ${electionMsMax}ms`,
    );
  const memory = settings.number('wherry-request-memory-bytes');
  if (memory !== 0 && memory < budgetBytesMin)
    throw new SettingsError(`--wherry-request-memory-bytes must be 0 or at least ${budgetBytesMin} (set to ${memory})`);
  autoCompaction(settings);
  if (settings.durationMs('compact-hash-check-time') <= 0)
    throw new SettingsError(
      `--compact-hash-check-time must be >0 (set to ${settings.string('compact-hash-check-time')})`,
    );
}

const electionMsMax = 50_000;

async function startMember(
  settings: Settings,
  { dataDir, peers, log }: { readonly dataDir: string; readonly peers: HttpPeerTransport; readonly log: Log },
): Promise<Etcd> {
  const warn = (message: string) => log('warn', message);
  const name = settings.string('name');
  const peerUrls = settings.list('initial-advertise-peer-urls');
  const tokens: TokenOptions = parseTokenOptions(settings.string('auth-token'), readFileSync, (text) =>
    parseGoDuration('auth-token', text),
  );
  const compaction = autoCompaction(settings);
  const quota = settings.number('quota-backend-bytes');
  const requestMemoryBytes = settings.number('wherry-request-memory-bytes');
  return await startEtcd({
    config: {
      name,
      dataDir,
      peerUrls,
      clientUrls: settings.list('advertise-client-urls'),
      initialCluster: parseInitialCluster(
        settings.string('initial-cluster') || peerUrls.map((url) => `${name}=${url}`).join(),
      ),
      initialClusterState: settings.string('initial-cluster-state') === 'existing' ? 'existing' : 'new',
      clusterToken: settings.string('initial-cluster-token'),
      heartbeatIntervalMs: settings.number('heartbeat-interval'),
      electionTimeoutMs: settings.number('election-timeout'),
      preVote: settings.bool('pre-vote'),
      strictReconfigCheck: settings.bool('strict-reconfig-check'),
      learnersMax: settings.number('max-learners'),
      promoteLearners: settings.bool('wherry-promote-learners'),
      forceNewCluster: settings.bool('force-new-cluster'),
      snapshotCatchUpEntries: settings.number('snapshot-catchup-entries'),
      ...(settings.has('corrupt-check-time') && {
        corruptCheckIntervalMs: settings.durationMs('corrupt-check-time'),
      }),
      ...(settings.gate('CompactHashCheck') && {
        compactHashCheckIntervalMs: settings.durationMs('compact-hash-check-time'),
      }),
      compaction: compactionPace(settings),
      initialCorruptCheck: settings.gate('InitialCorruptCheck'),
      progressNotifyIntervalMs: settings.durationMs('watch-progress-notify-interval'),
      requestBytesMax: settings.number('max-request-bytes'),
      txnOpsMax: settings.number('max-txn-ops'),
      // 0 is upstream's default there, and a negative number no limit.
      ...(quota !== 0 && { quotaBytes: Math.max(0, quota) }),
      ...(requestMemoryBytes !== 0 && { requestMemoryBytes }),
      ...(compaction && { autoCompaction: compaction }),
      tokens: tokens.kind === 'simple' ? { ...tokens, ttlSeconds: settings.number('auth-token-ttl') } : tokens,
      bcryptCost: bcryptCost(settings, warn),
      certificateNames: settings.bool('client-cert-auth'),
      gateway: settings.bool('enable-grpc-gateway'),
      origins: anyOf(settings.list('cors')),
      hosts: anyOf(settings.list('host-whitelist')),
    },
    deps: {
      clock: systemClock,
      prng: systemPrng(),
      disk: settings.bool('unsafe-no-fsync') ? withoutSync(hostDisk) : hostDisk,
      peers,
      log: warn,
      inform: (message) => log('info', message),
    },
  });
}

/** Nothing named is everybody, as upstream has it. */
function anyOf(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.length === 0 ? ['*'] : names);
}

const bcryptCostDefault = 10;

function bcryptCost(settings: Settings, warn: (message: string) => void): number {
  const cost = settings.number('bcrypt-cost');
  if (cost >= 4 && cost <= 31) return cost;
  warn('use default bcrypt cost instead of the invalid given cost');
  return bcryptCostDefault;
}

/** `--unsafe-no-fsync`: an acknowledged write may be lost with the machine. */
function withoutSync(disk: Disk): Disk {
  return {
    ...disk,
    syncFolder: async () => {},
    async open(path) {
      const file = await disk.open(path);
      return { ...file, sync: async () => {}, [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() };
    },
  };
}

/** Only what somebody has said something about: by itself a compaction takes as much of each turn as disturbs nobody. */
function compactionPace(settings: Settings): NonNullable<EtcdConfig['compaction']> {
  const limit = settings.number('compaction-batch-limit');
  return {
    ...(settings.has('compaction-batch-limit') && limit > 0 && { versionsPerTurn: limit }),
    ...(settings.has('compaction-sleep-interval') && { pauseMs: settings.durationMs('compaction-sleep-interval') }),
  };
}

/** A plain number is hours in the mode by time, revisions in the other; 0 is off. */
function autoCompaction(settings: Settings): AutoCompaction | undefined {
  const mode = settings.string('auto-compaction-mode');
  const retention = settings.string('auto-compaction-retention');
  if (mode === '') throw new SettingsError('undefined auto-compaction-mode');
  if (mode !== 'revision' && mode !== 'periodic')
    throw new SettingsError(`unknown auto-compaction-mode ${JSON.stringify(mode)}`);
  const isNumber = /^\d+$/.test(retention);
  if (mode === 'revision') {
    if (!isNumber) throw new SettingsError(`strconv.Atoi: parsing ${JSON.stringify(retention)}: invalid syntax`);
    return Number(retention) === 0 ? undefined : { mode, retentionRevisions: Number(retention) };
  }
  try {
    const retentionMs = isNumber
      ? Number(retention) * 3_600_000
      : parseGoDuration('auto-compaction-retention', retention);
    return retentionMs === 0 ? undefined : { mode, retentionMs };
  } catch (error) {
    throw new SettingsError(`error parsing CompactionRetention: time: invalid duration ${JSON.stringify(retention)}`, {
      cause: error,
    });
  }
}

async function certificatesOf(
  settings: Settings,
  prefix: '' | 'peer-',
  dataDir: string,
): Promise<TlsFiles | undefined> {
  const files = tlsFiles(settings, prefix);
  if (files !== undefined || !settings.bool(`${prefix}auto-tls`)) return files;
  const urls = settings.list(prefix === '' ? 'listen-client-urls' : 'listen-peer-urls');
  const hosts = urls
    .map((url) => parseListenUrl(url).address)
    .flatMap((address) => ('host' in address ? [address.host] : []));
  const own = await selfSigned(
    `${dataDir}/fixtures/${prefix === '' ? 'client' : 'peer'}`,
    [...new Set(hosts)],
    settings.number('self-signed-cert-validity'),
  );
  return { ...own, trustedCa: undefined, revoked: undefined, rest: {} };
}

function startPeers(settings: Settings, files: TlsFiles | undefined, log: Log): HttpPeerTransport {
  return httpPeerTransport({
    clock: systemClock,
    peerUrls: settings.list('initial-advertise-peer-urls'),
    electionTimeoutMs: settings.number('election-timeout'),
    ...(files && { tls: dialTls(loadTls(files), settings) }),
    log: (message) => log('warn', message),
    inform: (message) => log('info', message),
  });
}

/**
 * A member is the others' client with the certificate that it serves with. Without an authority those of the system count; only with
 * `--peer-auto-tls`, where nobody vouches for anybody, it believes everybody.
 */
function dialTls({ certificate, key, clientCa }: TlsConfig, settings: Settings) {
  const selfSigned = settings.bool('peer-auto-tls') && settings.string('peer-cert-file') === '';
  return {
    certificate,
    key,
    ...(clientCa !== undefined && { ca: clientCa }),
    ...(selfSigned && { insecure: true }),
    ...peerClient(settings),
  };
}

/** `--peer-client-cert-file`: another certificate for calling the others. */
function peerClient(settings: Settings): { readonly certificate?: string; readonly key?: string } {
  const [certificate, key] = [settings.string('peer-client-cert-file'), settings.string('peer-client-key-file')];
  if (certificate === '' || key === '') return {};
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

function missingCertificate(kind: 'client' | 'peer' | 'metrics'): (url: string) => SettingsError {
  if (kind === 'metrics')
    return () =>
      new SettingsError('client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url');
  const flags = kind === 'peer' ? '--peer-cert-file, --peer-key-file' : '--cert-file, --key-file';
  return (url) =>
    new SettingsError(`TLS key/cert (${flags}) must be provided for ${kind} url ${url} with HTTPS scheme`);
}

/** Who is turned away is named in the log, as upstream has it: a client with the wrong certificate is told little. */
function rejectedOn(kind: 'client' | 'peer', log: Log): NonNullable<ListenOptions['rejected']> {
  return ({ remoteAddress, serverName, error }) =>
    // Who only hangs up, as load balancers do to see whether a port is open, fills no log.
    log('code' in error && error.code === 'ECONNRESET' ? 'debug' : 'warn', `rejected connection on ${kind} endpoint`, {
      'remote-addr': remoteAddress,
      'server-name': serverName,
      error: error.message,
    });
}

/** The ports of one kind, which share their certificates. */
class Ports {
  readonly #tls: TlsConfig | undefined;
  readonly #scope: Scope;
  readonly #rejected: NonNullable<ListenOptions['rejected']>;
  readonly #secure: Listener[] = [];

  constructor(files: TlsFiles | undefined, scope: Scope, rejected: NonNullable<ListenOptions['rejected']>) {
    this.#tls = files && loadTls(files);
    this.#scope = scope;
    this.#rejected = rejected;
  }

  async open(
    { address, secureUrl, plain }: ListenAddress,
    options: Omit<ListenOptions, 'address' | 'tls' | 'alsoPlain' | 'rejected'>,
    missing: (url: string) => SettingsError,
  ): Promise<void> {
    if (secureUrl !== undefined && this.#tls === undefined) throw missing(secureUrl);
    const secure = secureUrl !== undefined;
    const tls = secure && this.#tls && { tls: this.#tls, alsoPlain: plain, rejected: this.#rejected };
    const listener = await listen({ ...options, address, ...tls });
    this.#scope.use(listener);
    if (secure) this.#secure.push(listener);
  }

  reload(tls: TlsConfig): void {
    for (const listener of this.#secure) listener.reload(tls);
  }
}

function watchPort(scope: Scope, files: TlsFiles | undefined, log: Log, reload: (tls: TlsConfig) => void): void {
  if (files === undefined) return;
  const watcher = watchTls(files, {
    changed(tls) {
      reload(tls);
      log('info', 'certificates were read again', { 'cert-file': files.certificate });
    },
    failed: (error) => log('warn', 'certificates could not be read again', { error: String(error) }),
  });
  scope.defer(() => watcher[Symbol.dispose]());
}

function isAboutTheMachine(error: unknown): boolean {
  if ([LockedError, WalError, BboltError, BootstrapError].some((type) => error instanceof type)) return true;
  return (
    error instanceof Error &&
    ('syscall' in error || (error as NodeJS.ErrnoException).code?.startsWith('ERR_OSSL') === true)
  );
}
