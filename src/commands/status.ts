/** `wherry status`: is the cluster running, where, and how are its nodes and pods. */
import { readFileSync } from 'node:fs';
import { clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { type Command, ExitCode } from './command.ts';
import { ask } from './control-client.ts';
import { pathEnvironment } from './environment.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';
import { readRunning } from './running.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
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
  const running = readRunning(paths);
  const json = parsed.string('output') === 'json';
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

/** proc(5): resident set, of the whole cluster's process. */
function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib ?? 0) * 1024;
}
