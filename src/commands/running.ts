/** Finds a cluster that runs, by the file it leaves in its run folder and its process. */
import { readFileSync } from 'node:fs';
import { type ClusterPaths, clusterPaths } from '#cluster/paths.ts';
import { CommandError, ExitCode } from './command.ts';
import { pathEnvironment } from './environment.ts';

export interface RunningCluster {
  readonly pid: number;
  readonly name: string;
  readonly server: string;
  /** Unix socket of `cluster/control.ts`. */
  readonly socket: string;
  readonly version: string;
  readonly node: string;
}

/** Undefined: none runs. What a crash left behind counts as none. */
export function readRunning(paths: ClusterPaths): RunningCluster | undefined {
  let state: RunningCluster;
  try {
    state = JSON.parse(readFileSync(paths.stateFile, 'utf8')) as RunningCluster;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
  try {
    process.kill(state.pid, 0);
    return state;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') return state;
    return undefined;
  }
}

/** @throws CommandError notFound */
export function requireRunning(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  dataDir?: string,
): { readonly running: RunningCluster; readonly paths: ClusterPaths } {
  const paths = clusterPaths(name, pathEnvironment(env), dataDir);
  const running = readRunning(paths);
  if (running === undefined)
    throw new CommandError(ExitCode.notFound, `cluster ${name} is not running: start it with \`wherry up\``);
  return { running, paths };
}
