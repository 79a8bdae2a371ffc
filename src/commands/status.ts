/** `wherry status`: is the cluster running, where, and how are its nodes and pods. */
import { clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { layoutOf } from './cluster-layout.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { ask } from './control-client.ts';
import { lookAtAll, type StatusTarget, statusObject, statusText, watchStatus } from './control-planes-status.ts';
import { pathEnvironment } from './environment.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';
import { residentBytes } from './resident-bytes.ts';
import { readRunning } from './running.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
  watch: {
    kind: 'bool',
    short: 'w',
    usage: 'go on showing it, until Ctrl-C: control planes, leaders, leases and gaps',
  },
  output: { kind: 'string', short: 'o', default: 'text', usage: 'text or json' },
  help: { kind: 'bool', short: 'h', usage: 'this text' },
};

interface Status {
  readonly nodes: readonly { readonly name: string; readonly ready: boolean }[];
  readonly pods: Readonly<Record<string, number>>;
  readonly revision: number;
  readonly stages: readonly string[];
}

export const status: Command = async (args, { env, stdout }) => {
  const parsed = parseFlags(args, flags);
  if (parsed.bool('help')) {
    stdout.write(`Usage: wherry status [FLAG...]\n\n${flagHelp(flags)}`);
    return ExitCode.ok;
  }
  const name = parsed.string('name')!;
  const paths = clusterPaths(name, pathEnvironment(env), parsed.string('data-dir'));
  const json = parsed.string('output') === 'json';
  const layout = await layoutOf(paths);
  if (layout !== undefined) {
    const target: StatusTarget = { name, paths, layout, running: () => readRunning(paths) };
    const sights = await lookAtAll(target);
    if (sights.some(({ pid }) => pid !== undefined)) {
      if (parsed.bool('watch')) return await watchStatus(target, stdout, json);
      stdout.write(json ? `${JSON.stringify(await statusObject(target, sights))}\n` : await statusText(target, sights));
      return ExitCode.ok;
    }
  } else if (parsed.bool('watch'))
    throw new CommandError(ExitCode.usage, '--watch is for clusters of several control planes');
  const running = layout === undefined ? readRunning(paths) : undefined;
  if (running === undefined) {
    stdout.write(json ? `${JSON.stringify({ name, running: false })}\n` : `cluster ${name} is not running\n`);
    return ExitCode.notFound;
  }
  const answer = (await ask(running.socket, 'GET', '/status')) as Status;
  const memoryBytes = residentBytes(running.pid);
  if (json) {
    stdout.write(`${JSON.stringify({ ...running, running: true, memoryBytes, ...answer })}\n`);
    return ExitCode.ok;
  }
  const pods = Object.entries(answer.pods).map(([phase, count]) => `${count} ${phase}`);
  stdout.write(`cluster   ${name} (pid ${running.pid}, ${running.version})\n`);
  stdout.write(`server    ${running.server}\n`);
  stdout.write(
    `nodes     ${answer.nodes.map((node) => `${node.name} ${node.ready ? 'Ready' : 'NotReady'}`).join(', ') || 'none'}\n`,
  );
  stdout.write(`pods      ${pods.join(', ') || 'none'}\n`);
  stdout.write(`store     revision ${answer.revision}\n`);
  stdout.write(`memory    ${Math.round(memoryBytes / 2 ** 20)} MiB\n`);
  stdout.write(`log       ${paths.logFile}\n`);
  return ExitCode.ok;
};
