/** runc's commands, one function each, over the runtime of a command line. Each gets its arguments behind the command's name and gives an exit code. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseSpec, SpecError, specToJson } from '#api-oci/parse-spec.ts';
import type { Process, Resources, Spec } from '#api-oci/runtime-spec.ts';
import type { Launched } from '#host-linux/helper/launch.ts';
import type { CommandLineRuntime } from '#runtime/command-line.ts';
import { RuntimeError } from '#runtime/error.ts';
import { type Flags, parseFlags, UsageError } from './flags.ts';
import { exampleSpec, features, ociVersion } from './spec.ts';
import { filterPs, listTable, stateJson, statsEvent } from './tables.ts';

export interface VerbContext {
  readonly runtime: CommandLineRuntime;
  readonly print: (text: string) => void;
}

/** A failure with an exit code of its own. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, cause: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

type Verb = (context: VerbContext, args: readonly string[]) => Promise<number>;

const startFlags = {
  values: ['bundle', 'console-socket', 'pidfd-socket', 'pid-file', 'preserve-fds'],
  booleans: ['no-pivot', 'no-new-keyring', 'help'],
  aliases: { bundle: 'b' },
};
const execFailed = 255;

function expectArgs(verb: string, args: readonly string[], count: number): void {
  if (args.length !== count) throw new UsageError(`runc: "${verb}" requires exactly ${count} argument(s)`);
}

/** The one operand of most commands. */
function idOf(verb: string, args: readonly string[]): string {
  expectArgs(verb, args, 1);
  return args[0]!;
}

const create: Verb = async (context, args) => {
  const flags = parseFlags(args, startFlags);
  const id = idOf('create', flags.rest);
  await prefixed('runc create failed', () => begin(context, id, flags, false));
  return 0;
};

const run: Verb = async (context, args) => {
  const flags = parseFlags(args, {
    ...startFlags,
    booleans: [...startFlags.booleans, 'detach', 'keep', 'no-subreaper'],
    aliases: { bundle: 'b', detach: 'd' },
  });
  const id = idOf('run', flags.rest);
  const foreground = !flags.has('detach');
  return prefixed('runc run failed', async () => {
    const launched = await begin(context, id, flags, foreground);
    await context.runtime.start(id);
    if (!foreground) return 0;
    const exitCode = await follow(context, id, launched);
    if (!flags.has('keep')) await context.runtime.delete(id, true);
    return exitCode;
  });
};

async function begin({ runtime }: VerbContext, id: string, flags: Flags, foreground: boolean): Promise<Launched> {
  refusePreserveFds(flags);
  if (flags.one('pidfd-socket') !== undefined)
    throw new RuntimeError('Unimplemented', 'a pidfd socket is not supported');
  const bundle = resolve(flags.one('bundle') ?? '.');
  const consoleSocket = flags.one('console-socket');
  const launched = await runtime.create({
    id,
    bundle,
    spec: readSpec(bundle),
    foreground,
    noPivot: flags.has('no-pivot'),
    noNewKeyring: flags.has('no-new-keyring'),
    ...(consoleSocket === undefined ? {} : { consoleSocket }),
  });
  writePid(flags, launched);
  return launched;
}

function refusePreserveFds(flags: Flags): void {
  if ((flags.number('preserve-fds') ?? 0) > 0)
    throw new RuntimeError('Unimplemented', 'descriptors to preserve are not supported');
}

function writePid(flags: Flags, { pid }: Launched): void {
  const path = flags.one('pid-file');
  if (path !== undefined) writeFileSync(path, String(pid));
}

/** Passes signals on until the process has ended. */
async function follow({ runtime }: VerbContext, id: string, launched: Launched): Promise<number> {
  const numbers = { SIGTERM: 15, SIGINT: 2, SIGHUP: 1, SIGQUIT: 3, SIGUSR1: 10, SIGUSR2: 12, SIGWINCH: 28 } as const;
  const pass = (signal: NodeJS.Signals) => {
    runtime.kill(id, numbers[signal as keyof typeof numbers], false).catch(() => {
      // It ended at the same moment.
    });
  };
  for (const signal of Object.keys(numbers)) process.on(signal as NodeJS.Signals, pass);
  return (await launched.ended).exitCode;
}

const start: Verb = async ({ runtime }, args) => {
  await runtime.start(idOf('start', parseFlags(args, {}).rest));
  return 0;
};

const state: Verb = async ({ runtime, print }, args) => {
  const found = await runtime.state(idOf('state', parseFlags(args, {}).rest));
  print(`${JSON.stringify(stateJson(found), undefined, 2)}\n`);
  return 0;
};

const kill: Verb = async ({ runtime }, args) => {
  const flags = parseFlags(args, { booleans: ['all'], aliases: { all: 'a' } });
  const [id, signal = 'SIGTERM'] = flags.rest;
  if (id === undefined || flags.rest.length > 2)
    throw new UsageError('runc: "kill" requires a minimum of 1 and a maximum of 2 arguments');
  await runtime.kill(id, parseSignal(signal), flags.has('all'));
  return 0;
};

const signalNames = [
  ...['', 'HUP', 'INT', 'QUIT', 'ILL', 'TRAP', 'ABRT', 'BUS', 'FPE', 'KILL', 'USR1', 'SEGV', 'USR2', 'PIPE', 'ALRM'],
  ...['TERM', 'STKFLT', 'CHLD', 'CONT', 'STOP', 'TSTP', 'TTIN', 'TTOU', 'URG', 'XCPU', 'XFSZ', 'VTALRM', 'PROF'],
  ...['WINCH', 'IO', 'PWR', 'SYS'],
];

function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const number = signalNames.indexOf(text.toUpperCase().replace(/^SIG/, ''));
  if (number <= 0) throw new UsageError(`unknown signal ${JSON.stringify(text)}`);
  return number;
}

const remove: Verb = async ({ runtime }, args) => {
  const flags = parseFlags(args, { booleans: ['force'], aliases: { force: 'f' } });
  await runtime.delete(idOf('delete', flags.rest), flags.has('force'));
  return 0;
};

const exec: Verb = async (context, args) => {
  const flags = parseFlags(args, {
    values: [
      ...['console-socket', 'pidfd-socket', 'cwd', 'env', 'user', 'additional-gids', 'process', 'pid-file', 'cgroup'],
      ...['process-label', 'apparmor', 'cap', 'preserve-fds'],
    ],
    booleans: ['tty', 'detach', 'no-new-privs', 'ignore-paused'],
    aliases: {
      ...{ env: 'e', tty: 't', user: 'u', 'additional-gids': 'g', process: 'p', detach: 'd', cap: 'c' },
    },
  });
  const [id, ...command] = flags.rest;
  if (id === undefined) throw new UsageError('runc: "exec" requires a minimum of 1 argument');
  refusePreserveFds(flags);
  try {
    const process = execProcess(await context.runtime.spec(id), flags, command);
    const consoleSocket = flags.one('console-socket');
    const launched = await context.runtime.exec({
      id,
      process,
      foreground: !flags.has('detach'),
      ignorePaused: flags.has('ignore-paused'),
      ...(consoleSocket === undefined ? {} : { consoleSocket }),
    });
    writePid(flags, launched);
    return flags.has('detach') ? 0 : (await launched.ended).exitCode;
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    const text = error.message.startsWith('exec failed: ') ? error.message : `exec failed: ${error.message}`;
    throw new ExitError(execFailed, text, error);
  }
};

function execProcess(spec: Spec, flags: Flags, command: readonly string[]): Process {
  const path = flags.one('process');
  if (path !== undefined) {
    // A process alone is read as a part of a specification.
    const text = readFileSync(path, 'utf8');
    return parseSpec(`{"ociVersion":"${ociVersion}","process":${text}}`).process!;
  }
  if (command.length === 0) throw new UsageError('process args cannot be empty');
  const own = spec.process!;
  const user = /^(\d+)(?::(\d+))?$/.exec(flags.one('user') ?? '');
  if (flags.one('user') !== undefined && user === null) throw new UsageError('parsing user id for process failed');
  const more = flags.all('cap');
  const capabilities = own.capabilities ?? {};
  const gids = flags.all('additional-gids').map(Number);
  return {
    ...own,
    args: command,
    terminal: flags.has('tty'),
    env: [...(own.env ?? []), ...flags.all('env')],
    cwd: flags.one('cwd') ?? own.cwd,
    ...(flags.has('no-new-privs') ? { noNewPrivileges: true } : {}),
    ...(flags.one('apparmor') === undefined ? {} : { apparmorProfile: flags.one('apparmor')! }),
    ...(flags.one('process-label') === undefined ? {} : { selinuxLabel: flags.one('process-label')! }),
    ...(more.length === 0
      ? {}
      : {
          capabilities: Object.fromEntries(
            (['bounding', 'effective', 'permitted', 'inheritable', 'ambient'] as const).map((set) => [
              set,
              [...new Set([...(capabilities[set] ?? []), ...(set === 'inheritable' || set === 'ambient' ? [] : more)])],
            ]),
          ),
        }),
    user: {
      ...(own.user ?? { uid: 0, gid: 0 }),
      ...(user === null ? {} : { uid: Number(user[1]), gid: Number(user[2] ?? own.user?.gid ?? 0) }),
      ...(gids.length === 0 ? {} : { additionalGids: gids }),
    },
  };
}

const list: Verb = async ({ runtime, print }, args) => {
  const flags = parseFlags(args, { values: ['format'], booleans: ['quiet'], aliases: { format: 'f', quiet: 'q' } });
  expectArgs('list', flags.rest, 0);
  const states = await runtime.list();
  const format = flags.one('format') ?? 'table';
  if (flags.has('quiet')) print(states.map(({ id }) => `${id}\n`).join(''));
  else if (format === 'json') print(`${JSON.stringify(states.map(stateJson))}\n`);
  else if (format === 'table') print(listTable(states));
  else throw new UsageError('invalid format option');
  return 0;
};

const ps: Verb = async ({ runtime, print }, args) => {
  const flags = parseFlags(args, { values: ['format'], aliases: { format: 'f' } });
  const [id, ...options] = flags.rest;
  if (id === undefined) throw new UsageError('runc: "ps" requires a minimum of 1 argument');
  const pids = await runtime.pids(id);
  if (flags.one('format') === 'json') print(`${JSON.stringify(pids)}\n`);
  else print(filterPs(execFileSync('ps', options.length === 0 ? ['-ef'] : options, { encoding: 'utf8' }), pids));
  return 0;
};

const pause: Verb = async ({ runtime }, args) => {
  await runtime.pause(idOf('pause', parseFlags(args, {}).rest));
  return 0;
};

const resume: Verb = async ({ runtime }, args) => {
  await runtime.resume(idOf('resume', parseFlags(args, {}).rest));
  return 0;
};

const updateNumbers = [
  ...['blkio-weight', 'cpu-period', 'cpu-quota', 'cpu-burst', 'cpu-share', 'cpu-rt-period', 'cpu-rt-runtime'],
  ...['cpu-idle', 'memory', 'memory-reservation', 'memory-swap', 'pids-limit'],
];

const update: Verb = async ({ runtime }, args) => {
  const flags = parseFlags(args, {
    values: ['resources', 'cpuset-cpus', 'cpuset-mems', 'l3-cache-schema', 'mem-bw-schema', ...updateNumbers],
    aliases: { resources: 'r' },
  });
  const id = idOf('update', flags.rest);
  const file = flags.one('resources');
  await runtime.update(id, file === undefined ? updatedResources(flags) : readResources(file));
  return 0;
};

function readResources(path: string): Resources {
  const text = readFileSync(path === '-' ? 0 : path, 'utf8');
  return parseSpec(`{"ociVersion":"${ociVersion}","linux":{"resources":${text}}}`).linux?.resources ?? {};
}

function updatedResources(flags: Flags): Resources {
  const given = (names: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(names).flatMap(([key, flag]) => {
        const value = flags.number(flag);
        return value === undefined ? [] : [[key, value]];
      }),
    );
  const texts = Object.fromEntries(
    ['cpus', 'mems'].flatMap((key) => {
      const value = flags.one(`cpuset-${key}`);
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const pids = flags.number('pids-limit');
  const weight = flags.number('blkio-weight');
  return {
    cpu: {
      ...given({ shares: 'cpu-share', quota: 'cpu-quota', period: 'cpu-period', burst: 'cpu-burst', idle: 'cpu-idle' }),
      ...given({ realtimePeriod: 'cpu-rt-period', realtimeRuntime: 'cpu-rt-runtime' }),
      ...texts,
    },
    memory: given({ limit: 'memory', reservation: 'memory-reservation', swap: 'memory-swap' }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
    ...(weight === undefined ? {} : { blockIO: { weight } }),
  };
}

const events: Verb = async ({ runtime, print }, args) => {
  const flags = parseFlags(args, { values: ['interval'], booleans: ['stats'] });
  const id = idOf('events', flags.rest);
  if (!flags.has('stats')) throw new RuntimeError('Unimplemented', 'events are told with --stats only');
  print(`${JSON.stringify(statsEvent(id, await runtime.stats(id)))}\n`);
  return 0;
};

const spec: Verb = async (_context, args) => {
  const flags = parseFlags(args, { values: ['bundle'], booleans: ['rootless'], aliases: { bundle: 'b' } });
  expectArgs('spec', flags.rest, 0);
  const path = resolve(flags.one('bundle') ?? '.', 'config.json');
  if (existsSync(path)) throw new RuntimeError('AlreadyExists', `File ${path} exists. Remove it first`);
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const text = specToJson(exampleSpec(flags.has('rootless') ? owner : undefined));
  writeFileSync(path, `${JSON.stringify(JSON.parse(text), undefined, '\t')}\n`, { mode: 0o666 });
  return 0;
};

const tellFeatures: Verb = async ({ print }, args) => {
  expectArgs('features', args, 0);
  print(`${JSON.stringify(features, undefined, 4)}\n`);
  return 0;
};

/** By name. */
export const verbs: Readonly<Record<string, Verb>> = {
  create,
  delete: remove,
  events,
  exec,
  features: tellFeatures,
  kill,
  list,
  pause,
  ps,
  resume,
  run,
  spec,
  start,
  state,
  update,
};

function readSpec(bundle: string): Spec {
  const path = resolve(bundle, 'config.json');
  if (!existsSync(path)) throw new RuntimeError('InvalidArgument', 'JSON specification file config.json not found');
  try {
    return parseSpec(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SpecError) throw new RuntimeError('InvalidArgument', `config.json: ${error.message}`, error);
    throw error;
  }
}

/** Says which command failed, as runc does for these. */
async function prefixed<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    throw new RuntimeError(error.code, `${what}: ${error.message}`, error);
  }
}
