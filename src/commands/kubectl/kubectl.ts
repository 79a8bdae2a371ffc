/** `wherry kubectl`: the everyday verbs, for machines without a kubectl. Upstream's flags, words and exit codes, as far as they go. */
import { StatusError } from '#kube-machinery/status.ts';
import { type Command, CommandError, ExitCode } from '../command.ts';
import { kubeconfigPath } from '../environment.ts';
import { type FlagTable, flagHelp, type Parsed, parseFlags } from '../flags.ts';
import { fullVersion } from '../version.ts';
import { describe } from './describe.ts';
import { get } from './get.ts';
import { exec, logs } from './pods.ts';
import { readCredentials, Session } from './session.ts';
import { apply, create, remove } from './write.ts';

const flags: FlagTable = {
  namespace: { kind: 'string', short: 'n', usage: 'namespace of the request' },
  'all-namespaces': { kind: 'bool', short: 'A', usage: 'get: all namespaces' },
  output: { kind: 'string', short: 'o', usage: 'get: wide, json, yaml or name' },
  selector: { kind: 'string', short: 'l', usage: 'labels to choose by' },
  'field-selector': { kind: 'string', usage: 'get: fields to choose by' },
  watch: { kind: 'bool', short: 'w', usage: 'get: go on with changes' },
  'no-headers': { kind: 'bool', usage: 'get: rows only' },
  filename: { kind: 'string', short: 'f', usage: 'create, apply, delete: a file, a folder, or - for standard input' },
  image: { kind: 'string', usage: 'create deployment: image' },
  replicas: { kind: 'string', usage: 'create deployment: number of pods' },
  all: { kind: 'bool', usage: 'delete: everything of the type' },
  'grace-period': { kind: 'string', usage: 'delete: seconds that pods get' },
  wait: { kind: 'string', default: 'true', usage: 'delete: until it is gone' },
  timeout: { kind: 'string', usage: 'delete: how long to wait' },
  container: { kind: 'string', short: 'c', usage: 'logs, exec: container' },
  follow: { kind: 'bool', usage: 'logs: go on with what is written' },
  previous: { kind: 'bool', short: 'p', usage: 'logs: of the container before' },
  timestamps: { kind: 'bool', usage: 'logs: with times' },
  tail: { kind: 'string', usage: 'logs: last lines only' },
  stdin: { kind: 'bool', short: 'i', usage: 'exec: pass standard input' },
  tty: { kind: 'bool', short: 't', usage: 'exec: a terminal' },
  context: { kind: 'string', usage: 'context of the kubeconfig' },
  kubeconfig: { kind: 'string', usage: 'kubeconfig file' },
  help: { kind: 'bool', short: 'h', usage: 'this text' },
};

const verbs = ['get', 'describe', 'create', 'apply', 'delete', 'logs', 'exec', 'version'];

export const kubectl: Command = async (args, context) => {
  const { env, stdout, stderr } = context;
  const dashes = args.indexOf('--');
  const before = dashes === -1 ? args : args.slice(0, dashes);
  // For logs, -f means to follow.
  const logging = before.includes('logs');
  const own = before.flatMap((argument) =>
    logging && argument === '-f' ? ['--follow'] : argument === '-it' || argument === '-ti' ? ['-i', '-t'] : [argument],
  );
  const all = parseFlags(own, flags);
  const [verb, ...operands] = all.operands;
  const parsed: Parsed = { ...all, operands };
  if (verb === undefined || parsed.bool('help')) {
    stdout.write(`Usage: wherry kubectl VERB [ARGUMENT...]\n\nVerbs: ${verbs.join(', ')}\n\n${flagHelp(flags)}`);
    return ExitCode.ok;
  }
  if (!verbs.includes(verb)) {
    stderr.write(`error: unknown command "${verb}" for "kubectl"\n`);
    return ExitCode.failed;
  }
  const aborter = new AbortController();
  const onInterrupt = () => aborter.abort(new Error('interrupted'));
  process.once('SIGINT', onInterrupt);
  try {
    await using session = new Session(
      readCredentials(parsed.string('kubeconfig') ?? kubeconfigPath(env), parsed.string('context')),
    );
    switch (verb) {
      case 'get':
        return await get(session, parsed, context, aborter.signal);
      case 'describe':
        return await describe(session, parsed, context);
      case 'create':
        return await create(session, parsed, context);
      case 'apply':
        return await apply(session, parsed, context);
      case 'delete':
        return await remove(session, parsed, context);
      case 'logs':
        return await logs(session, parsed, context, aborter.signal);
      case 'exec':
        return await exec(session, parsed, dashes === -1 ? [] : args.slice(dashes + 1), context);
      default: {
        const server = await session.client.raw<{ readonly gitVersion: string }>('/version');
        stdout.write(`Client Version: ${fullVersion}\nServer Version: ${server.gitVersion}\n`);
        return ExitCode.ok;
      }
    }
  } catch (error) {
    if (aborter.signal.aborted) return 130;
    if (error instanceof StatusError) {
      stderr.write(`Error from server${error.reason ? ` (${error.reason})` : ''}: ${error.message}\n`);
      return ExitCode.failed;
    }
    if (error instanceof CommandError) {
      stderr.write(`${error.message}\n`);
      return ExitCode.failed;
    }
    const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
    if (code === 'ECONNREFUSED') {
      stderr.write(
        `The connection to the server ${address}:${port} was refused - did you specify the right host or port?\n`,
      );
      return ExitCode.failed;
    }
    throw error;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
};
