/** `wherry stop`: the running cluster ends with its containers; its data stays. */
import { livePlanes, stopPlanes } from '#cluster/control-planes/processes.ts';
import { type ClusterPaths, clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { systemClock } from '#host/clock.ts';
import { layoutOf } from './cluster-layout.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { ask } from './control-client.ts';
import { pathEnvironment } from './environment.ts';
import { durationMs, type FlagTable, flagHelp, parseFlags } from './flags.ts';
import { type RunningCluster, readRunning, requireRunning } from './running.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
  wait: { kind: 'string', default: '60s', usage: 'how long to wait for the end' },
  help: { kind: 'bool', short: 'h', usage: 'this text' },
};

export const stop: Command = async (args, { env, stdout }) => {
  const parsed = parseFlags(args, flags);
  if (parsed.bool('help')) {
    stdout.write(`Usage: wherry stop [FLAG...]\n\n${flagHelp(flags)}`);
    return ExitCode.ok;
  }
  const name = parsed.string('name')!;
  const paths = clusterPaths(name, pathEnvironment(env), parsed.string('data-dir'));
  const waitMs = durationMs(parsed.string('wait')!, 'wait');
  if (readRunning(paths) === undefined && (await stopControlPlanes(paths, waitMs))) {
    stdout.write(
      `cluster ${name} is stopped; its data stays; its node was not running: \`wherry down\` ends containers\n`,
    );
    return ExitCode.ok;
  }
  const { running } = requireRunning(name, env, parsed.string('data-dir'));
  await stopRunning(running, waitMs);
  stdout.write(`cluster ${name} is stopped; its data stays\n`);
  return ExitCode.ok;
};

/** Those that outlived the process of the node. False: there are none. */
export async function stopControlPlanes(paths: ClusterPaths, graceMs: number): Promise<boolean> {
  const layout = await layoutOf(paths);
  if (layout === undefined || (await livePlanes(paths, layout)).length === 0) return false;
  await stopPlanes(paths, layout, { clock: systemClock, graceMs });
  return true;
}

const pollMs = 20;

/** @throws CommandError timeout */
export async function stopRunning(running: RunningCluster, waitMs: number): Promise<void> {
  await ask(running.socket, 'POST', '/stop');
  const until = performance.now() + waitMs;
  while (isAlive(running.pid)) {
    if (performance.now() > until)
      throw new CommandError(
        ExitCode.timeout,
        `cluster ${running.name} (pid ${running.pid}) did not end in ${waitMs / 1000} s`,
      );
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
