/** `wherry kubeconfig`: prints the administrator's kubeconfig of a cluster. */
import { readFileSync } from 'node:fs';
import { clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { pathEnvironment } from './environment.ts';
import { type FlagTable, parseFlags } from './flags.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
};

export const kubeconfig: Command = async (args, { env, stdout }) => {
  const parsed = parseFlags(args, flags);
  const name = parsed.string('name')!;
  const { adminKubeconfig } = clusterPaths(name, pathEnvironment(env), parsed.string('data-dir'));
  try {
    stdout.write(readFileSync(adminKubeconfig, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new CommandError(ExitCode.notFound, `there is no cluster ${name}: make it with \`wherry up\``);
  }
  return ExitCode.ok;
};
