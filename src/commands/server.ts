/**
 * `wherry server`: one control plane of a cluster that `wherry up --control-planes` has laid out, in this process: etcd member, apiserver, controllers and scheduler. `up` starts
 * them; one can be started by hand, too. It says on standard error what happens, and runs until SIGTERM, SIGINT or `wherry stop`.
 */
import { type Server, startServer } from '#cluster/control-planes/start-server.ts';
import { clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { systemClock } from '#host/clock.ts';
import { LockedError } from '#host/lock-file.ts';
import { systemPrng } from '#host/random.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import { WalError } from '#storage/wal/wal.ts';
import { layoutOf } from './cluster-layout.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { pathEnvironment } from './environment.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';
import { stopSignals } from './stop-signals.ts';
import { fullVersion } from './version.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
  'control-plane': { kind: 'string', usage: 'which one this is: cp-1, cp-2 ...' },
  help: { kind: 'bool', short: 'h', usage: 'this text' },
};

export const server: Command = async (args, { env, stdout, stderr }) => {
  const parsed = parseFlags(args, flags);
  if (parsed.bool('help')) {
    stdout.write(`Usage: wherry server --control-plane NAME [FLAG...]\n\n${flagHelp(flags)}`);
    return ExitCode.ok;
  }
  const clusterName = parsed.string('name')!;
  const paths = clusterPaths(clusterName, pathEnvironment(env), parsed.string('data-dir'));
  const layout = await layoutOf(paths);
  if (layout === undefined)
    throw new CommandError(
      ExitCode.notFound,
      `cluster ${clusterName} has no control planes of their own: make it with \`wherry up --control-planes 3\``,
    );
  const name = parsed.string('control-plane');
  if (!layout.controlPlanes.some((plane) => plane.name === name)) {
    const names = layout.controlPlanes.map((plane) => plane.name).join(', ');
    throw new CommandError(ExitCode.usage, `--control-plane must be one of ${names}`);
  }
  const log = (message: string, error?: unknown) => {
    const detail =
      error === undefined ? '' : `: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    stderr.write(`${new Date(systemClock.now()).toISOString()} ${message}${detail}\n`);
  };
  using stop = stopSignals();
  let running: Server;
  try {
    running = await startServer(
      { clusterName, name: name!, paths, layout, version: fullVersion },
      { clock: systemClock, prng: systemPrng(), log, stopAsked: stop.asked },
    );
  } catch (error) {
    // A port or a folder that is taken, a damaged file: one line, not a trace.
    const aboutTheMachine = [LockedError, WalError, BboltError].some((type) => error instanceof type);
    if (aboutTheMachine || 'syscall' in (error as Error))
      throw new CommandError(ExitCode.environment, (error as Error).message, { cause: error });
    throw error;
  }
  const failure = await Promise.race([running.stopAsked, running.failed.then((reason) => ({ reason }))]);
  if (failure === undefined) {
    log('stopping');
    await running.stop();
    log('stopped');
    return ExitCode.ok;
  }
  const { reason } = failure;
  // Nothing of it can be written any more: leases run out by themselves.
  log('this control plane cannot go on', reason);
  process.exit(ExitCode.environment);
};
