/** `wherry down`: stops the cluster and takes it away: containers, mounts, cgroups, links, rules, the context; `--purge` the data too. */
import { KubeconfigError } from '#cluster/kubeconfig.ts';
import { clusterNameProblem, clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { removeCluster } from '#cluster/remove-cluster.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { runtimeEndpointFlag, runtimeEndpointOf } from './container-runtime-endpoint.ts';
import { kubeconfigPath, pathEnvironment } from './environment.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';
import { readRunning } from './running.ts';
import { stopControlPlanes, stopRunning } from './stop.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  purge: { kind: 'bool', usage: 'remove the data, too' },
  'pod-cidr': { kind: 'string', default: '10.244.0.0/24', usage: 'addresses of pods, as given to up' },
  'service-cidr': { kind: 'string', default: '10.96.0.0/16', usage: 'addresses of services, as given to up' },
  ...runtimeEndpointFlag,
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
  kubeconfig: { kind: 'string', usage: 'file to take the context out of (default $KUBECONFIG, ~/.kube/config)' },
  help: { kind: 'bool', short: 'h', usage: 'this text' },
};

const stopWaitMs = 60_000;

export const down: Command = async (args, { env, stdout, stderr }) => {
  const parsed = parseFlags(args, flags);
  if (parsed.bool('help')) {
    stdout.write(`Usage: wherry down [FLAG...]\n\n${flagHelp(flags)}`);
    return ExitCode.ok;
  }
  const name = parsed.string('name')!;
  const problem = clusterNameProblem(name);
  if (problem !== undefined) throw new CommandError(ExitCode.usage, problem);
  const environment = pathEnvironment(env);
  const paths = clusterPaths(name, environment, parsed.string('data-dir'));
  const running = readRunning(paths);
  if (running !== undefined) await stopRunning(running, stopWaitMs);
  await stopControlPlanes(paths, stopWaitMs);
  const removed = removeCluster(
    {
      name,
      paths,
      podCidr: parsed.string('pod-cidr')!,
      serviceCidr: parsed.string('service-cidr')!,
      runtimeEndpoint: runtimeEndpointOf(parsed),
      kubeconfig: parsed.string('kubeconfig') ?? kubeconfigPath(env),
      real: environment.root && process.platform === 'linux',
      purge: parsed.bool('purge'),
    },
    {
      clock: systemClock,
      prng: systemPrng(),
      log: (message, error) =>
        stderr.write(
          `wherry: ${message}${error === undefined ? '' : `: ${error instanceof Error ? error.message : String(error)}`}\n`,
        ),
    },
  );
  await removed.catch((error: unknown) => {
    if (!(error instanceof KubeconfigError)) throw error;
    throw new CommandError(ExitCode.environment, `${error.message}; everything else is removed`, { cause: error });
  });
  stdout.write(
    parsed.bool('purge') ? `cluster ${name} is gone\n` : `cluster ${name} is down; its data stays in ${paths.data}\n`,
  );
  return ExitCode.ok;
};
