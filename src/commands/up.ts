/** `wherry up`: a cluster on this machine, in the foreground until it is told to stop. One line a phase with its time. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { KubeconfigError } from '#cluster/kubeconfig.ts';
import { type ClusterPaths, clusterNameProblem, clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { type Cluster, type ClusterConfig, type ClusterDeps, startCluster } from '#cluster/start-cluster.ts';
import { systemClock } from '#host/clock.ts';
import { nodeHostname } from '#host/hostname.ts';
import { LockedError } from '#host/lock-file.ts';
import { systemPrng } from '#host/random.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import { WalError } from '#storage/wal/wal.ts';
import { type Command, type CommandContext, CommandError, ExitCode } from './command.ts';
import { runtimeEndpointFlag, runtimeEndpointOf } from './container-runtime-endpoint.ts';
import { giveToCaller, kubeconfigPath, pathEnvironment } from './environment.ts';
import { durationMs, type FlagTable, flagHelp, type Parsed, parseFlags } from './flags.ts';
import { readRunning } from './running.ts';
import { stopSignals } from './stop-signals.ts';
import { askedControlPlanes, bringBack, serverCommand } from './up-control-planes.ts';
import { fullVersion } from './version.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  'control-planes': { kind: 'string', usage: 'how many: 1, 3 or 5, each of several a process (default 1)' },
  node: { kind: 'string', default: 'auto', usage: 'auto, real, hollow or none: what this machine is to the cluster' },
  port: { kind: 'string', default: '6443', usage: 'port of the Kubernetes API' },
  'pod-cidr': { kind: 'string', default: '10.244.0.0/24', usage: 'addresses of pods' },
  'service-cidr': { kind: 'string', default: '10.96.0.0/16', usage: 'addresses of services' },
  'cluster-domain': { kind: 'string', default: 'cluster.local', usage: 'domain of the cluster DNS' },
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
  'etcd-servers': {
    kind: 'string',
    usage: "somebody's etcd instead of ours: one address, or several with commas between them",
  },
  ...runtimeEndpointFlag,
  kubeconfig: { kind: 'string', usage: 'file to merge the context into (default $KUBECONFIG, ~/.kube/config)' },
  wait: { kind: 'string', default: '60s', usage: 'how long to wait for the node' },
  output: { kind: 'string', short: 'o', default: 'text', usage: 'text or json (a line an event)' },
  help: { kind: 'bool', short: 'h', usage: 'this text' },
};

export const up: Command = async (args, context) => {
  const parsed = parseFlags(args, flags);
  const { stdout, env } = context;
  if (parsed.bool('help')) {
    stdout.write(
      `Usage: wherry up [FLAG...]\n\nA Kubernetes cluster on this machine, until Ctrl-C.\n\n${flagHelp(flags)}`,
    );
    return ExitCode.ok;
  }
  const [extra] = parsed.operands;
  if (extra !== undefined) throw new CommandError(ExitCode.usage, `up takes no argument ${JSON.stringify(extra)}`);
  const name = parsed.string('name')!;
  const problem = clusterNameProblem(name);
  if (problem !== undefined) throw new CommandError(ExitCode.usage, problem);
  const environment = pathEnvironment(env);
  const paths = clusterPaths(name, environment, parsed.string('data-dir'));
  const waitMs = durationMs(parsed.string('wait')!, 'wait');
  const { count: controlPlanes, layout } = await askedControlPlanes(name, paths, parsed);
  const reporter = createReporter(context, parsed.string('output') === 'json');
  const other = readRunning(paths);
  if (other !== undefined) {
    const back = layout === undefined ? [] : await bringBack(name, paths, layout, waitMs);
    for (const plane of back) reporter.phase(`${plane.name} is back (pid ${plane.pid})`);
    if (back.length > 0) return ExitCode.ok;
    throw new CommandError(
      ExitCode.environment,
      `cluster ${name} is already running (pid ${other.pid}) at ${other.server}`,
    );
  }
  const node = nodeKind(parsed.string('node')!, environment.root);
  reporter.line(node.says);

  const log = openLog(paths);
  const kubeconfig = parsed.string('kubeconfig') ?? kubeconfigPath(env);
  const stop = stopSignals();
  const config: ClusterConfig = {
    name,
    nodeName: nodeHostname(),
    paths,
    port: layout?.port ?? portOf(parsed),
    podCidr: layout?.podCidr ?? parsed.string('pod-cidr')!,
    serviceCidr: layout?.serviceCidr ?? parsed.string('service-cidr')!,
    clusterDomain: layout?.clusterDomain ?? parsed.string('cluster-domain')!,
    node: node.kind,
    etcdServer: layout === undefined ? parsed.string('etcd-servers') : layout.etcdServers,
    runtimeEndpoint: runtimeEndpointOf(parsed),
    kubeconfig,
    version: fullVersion,
    waitMs,
  };
  const deps: ClusterDeps = {
    clock: systemClock,
    prng: systemPrng(),
    phase: (phase) => reporter.phase(phase),
    log,
    signal: stop.signal,
  };
  let cluster: Cluster;
  try {
    if (controlPlanes === 1) cluster = await startCluster(config, deps);
    else {
      // Most clusters have one and need none of it.
      const { startControlPlanes } = await import('#cluster/control-planes/start-control-planes.ts');
      cluster = await startControlPlanes({ ...config, controlPlanes, serverCommand: serverCommand() }, deps);
    }
  } catch (error) {
    if (error !== stop.signal.reason || !stop.signal.aborted) throw startError(error, parsed);
    reporter.line('stopped on the way up');
    stop[Symbol.dispose]();
    return ExitCode.ok;
  }
  giveToCaller(kubeconfig, env);
  reporter.ready(cluster, node.kind);
  // The listeners keep the process alive; it ends by a signal or by `wherry stop`.
  const failure = await Promise.race([
    stop.asked,
    cluster.stopAsked,
    cluster.storeFailed.then((reason) => ({ reason })),
  ]);
  if (failure !== undefined) {
    await cluster.abandon().catch((error: unknown) => log('closing after the store failed', error));
    const { reason } = failure;
    throw new CommandError(
      ExitCode.environment,
      `the store can write no more: ${reason instanceof Error ? reason.message : String(reason)}; containers run on, \`wherry up\` takes them over once that is mended`,
    );
  }
  reporter.line('stopping: containers end, data stays');
  await cluster.stop();
  reporter.line(`stopped; \`wherry up\` resumes`);
  stop[Symbol.dispose]();
  return ExitCode.ok;
};

function nodeKind(asked: string, root: boolean): { readonly kind: 'real' | 'hollow' | 'none'; readonly says: string } {
  const able = root && process.platform === 'linux';
  switch (asked) {
    case 'auto':
      return able
        ? { kind: 'real', says: 'node: this machine, real containers (root on Linux)' }
        : { kind: 'hollow', says: 'node: hollow, pods without containers (real ones need root on Linux)' };
    case 'real':
      if (!able)
        throw new CommandError(ExitCode.environment, 'a real node needs root on Linux: use sudo, or --node hollow');
      return { kind: 'real', says: 'node: this machine, real containers' };
    case 'hollow':
      return { kind: 'hollow', says: 'node: hollow, pods without containers' };
    case 'none':
      return { kind: 'none', says: 'node: none, only the control plane' };
    default:
      throw new CommandError(
        ExitCode.usage,
        `unknown node kind ${JSON.stringify(asked)}: use auto, real, hollow or none`,
      );
  }
}

function portOf(parsed: Parsed): number {
  const text = parsed.string('port')!;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new CommandError(ExitCode.usage, `--port ${text} is no port`);
  return port;
}

/** Failures in words that say what to do. */
function startError(error: unknown, parsed: Parsed): unknown {
  const { code, address, port, path, message } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const environment = (text: string) => new CommandError(ExitCode.environment, text, { cause: error });
  if (code === 'EADDRINUSE' && port !== undefined)
    return environment(
      port === portOf(parsed)
        ? `port ${port} on ${address} is taken by another program: choose another with --port`
        : `port ${port} on ${address} is taken by another program`,
    );
  if (code === 'ENOSPC') return environment(`no space left on device: ${path ?? message}`);
  if (code === 'EACCES' || code === 'EPERM') return environment(`${message}: no permission; use sudo, or --data-dir`);
  // A store that another process has open, or that is damaged: the file, the place and the reason.
  if ([LockedError, WalError, BboltError].some((type) => error instanceof type)) return environment(message);
  if (error instanceof KubeconfigError) return environment(`${message}; it was left as it is: use --kubeconfig FILE`);
  return error;
}

/** Everything that is worth a line goes to the cluster's own log. */
function openLog(paths: ClusterPaths): (message: string, error?: unknown) => void {
  mkdirSync(dirname(paths.logFile), { recursive: true, mode: 0o700 });
  return (message, error) => {
    const detail =
      error === undefined ? '' : `: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    appendFileSync(paths.logFile, `${new Date(systemClock.now()).toISOString()} ${message}${detail}\n`);
  };
}

function createReporter({ stdout }: CommandContext, json: boolean) {
  const start = performance.now();
  let last = start;
  return {
    line(text: string) {
      if (json) stdout.write(`${JSON.stringify({ event: 'message', text })}\n`);
      else stdout.write(`${text}\n`);
    },
    phase(name: string) {
      const now = performance.now();
      const ms = Math.round(now - last);
      last = now;
      if (json) stdout.write(`${JSON.stringify({ event: 'phase', name, ms })}\n`);
      else stdout.write(` ✓ ${name.padEnd(28)} ${String(ms).padStart(5)} ms\n`);
    },
    ready({ context, server }: Cluster, node: 'real' | 'hollow' | 'none') {
      const ms = Math.round(performance.now() - start);
      if (json) {
        stdout.write(`${JSON.stringify({ event: 'ready', context, server, ms })}\n`);
        return;
      }
      stdout.write(`ready in ${ms} ms: ${server}, context ${context}\n\n`);
      stdout.write(
        node !== 'none'
          ? '  kubectl create deployment hello --image=wherry/hello:1 --replicas=2\n\n'
          : '  kubectl get namespaces\n\n',
      );
    },
  };
}
