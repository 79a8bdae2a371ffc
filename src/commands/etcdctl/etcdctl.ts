/** `wherry etcdctl`: upstream's client for operators, against any etcd. Verbs that are not built are said to be unknown. */

import { Scope } from '#std/scope.ts';
import { RpcError } from '#wire/grpc/status.ts';
import packageJson from '../../../package.json' with { type: 'json' };
import { type Command, CommandError, ExitCode } from '../command.ts';
import { parseFlags } from '../flags.ts';
import { namedVerb } from '../named-verb.ts';
import { authVerbs } from './auth.ts';
import { backupVerbs } from './backup.ts';
import { checkVerbs } from './check.ts';
import { completionVerb } from './completion.ts';
import { doctor } from './doctor/doctor.ts';
import { downgradeVerbs } from './downgrade.ts';
import { elect } from './elect.ts';
import { helpOf } from './help.ts';
import { compaction, del, get, put } from './kv.ts';
import { leaseVerbs } from './lease.ts';
import { lock } from './lock.ts';
import { alarmVerbs, defrag, endpointVerbs, moveLeader, snapshotVerbs } from './maintenance.ts';
import { makeMirror } from './make-mirror.ts';
import { memberVerbs } from './member.ts';
import { roleVerbs } from './role.ts';
import { EtcdctlError, globalFlags, openSession, type Verb } from './session.ts';
import { txn } from './txn.ts';
import { userVerbs } from './user.ts';
import { watch } from './watch.ts';

const version: Verb = {
  async run({ print }) {
    print(`etcdctl version: 3.5 (wherry ${packageJson.version})\nAPI version: 3.5\n`);
  },
};

/** By what the user types: one word, or two. */
const verbs: Readonly<Record<string, Verb>> = {
  put,
  get,
  del,
  txn,
  watch,
  compaction,
  ...group('lease', leaseVerbs),
  ...group('endpoint', endpointVerbs),
  ...group('member', memberVerbs),
  ...group('alarm', alarmVerbs),
  defrag,
  ...group('snapshot', snapshotVerbs),
  ...group('backup', backupVerbs),
  'move-leader': moveLeader,
  ...group('auth', authVerbs),
  ...group('user', userVerbs),
  ...group('role', roleVerbs),
  lock,
  elect,
  'make-mirror': makeMirror,
  ...group('check', checkVerbs),
  ...group('downgrade', downgradeVerbs),
  doctor,
  completion: completionVerb(() => Object.keys(verbs)),
  version,
};

/** What the user may type. */
export const etcdctlVerbNames: readonly string[] = Object.keys(verbs);

function group(name: string, its: Readonly<Record<string, Verb>>): Readonly<Record<string, Verb>> {
  return Object.fromEntries(Object.entries(its).map(([verb, what]) => [`${name} ${verb}`, what]));
}

export const etcdctl: Command = async (args, context) => {
  const { stdout, stderr, env } = context;
  const asked = helpAsked(args);
  if (asked !== undefined) {
    stdout.write(helpOf(asked, verbs));
    return ExitCode.ok;
  }
  const found = findVerb(args);
  if (found === undefined) {
    const word = wordsIn(args)[0]?.word ?? '';
    stderr.write(`Error: unknown command ${JSON.stringify(word)} for "etcdctl"\nRun 'etcdctl --help' for usage.\n`);
    return ExitCode.failed;
  }
  const { verb, rest } = found;
  await using scope = new Scope();
  try {
    const flags = parseFlags([...fromEnvironment(env), ...rest], { ...globalFlags, ...verb.flags });
    const session = await openSession(flags, flags.operands, context, scope);
    await verb.run(session);
    return ExitCode.ok;
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof RpcError || error instanceof EtcdctlError)) throw error;
    // Some verbs have said already what is wrong.
    if (error.message !== '') stderr.write(`Error: ${error.message}\n`);
    return error instanceof EtcdctlError ? error.exitCode : ExitCode.failed;
  }
};

/** Flags may stand before the verb, with their values. */
function findVerb(args: readonly string[]): { readonly verb: Verb; readonly rest: readonly string[] } | undefined {
  const words = wordsIn(args);
  let path = '';
  for (const [i, { word }] of words.entries()) {
    const name = namedVerb(word, path, etcdctlVerbNames);
    if (name === undefined) return undefined;
    path = `${path}${name}`;
    const verb = verbs[path];
    const taken = words.slice(0, i + 1);
    if (verb !== undefined) return { verb, rest: args.filter((_, at) => !taken.some((its) => its.at === at)) };
    path = `${path} `;
  }
  return undefined;
}

/** The first two arguments that are no flags and no values of flags. */
function wordsIn(args: readonly string[]): readonly { readonly word: string; readonly at: number }[] {
  const words: { readonly word: string; readonly at: number }[] = [];
  for (let i = 0; i < args.length && words.length < 2; i++) {
    const argument = args[i]!;
    if (!argument.startsWith('-')) words.push({ word: argument, at: i });
    else if (takesValue(argument)) i++;
  }
  return words;
}

/** Before the verb is known, a flag of its own is taken for one with a value, as upstream does: `--consistency s get KEY`. */
function takesValue(argument: string): boolean {
  if (argument.includes('=')) return false;
  const isLong = argument.startsWith('--');
  if (!isLong && argument.length !== 2) return false;
  const name = argument.replace(/^--?/, '');
  if (name === 'help' || name === 'h') return false;
  const spec = isLong ? globalFlags[name] : Object.values(globalFlags).find(({ short }) => short === name);
  return spec === undefined || spec.kind === 'string';
}

/** `ETCDCTL_ENDPOINTS` and so on; a flag wins. */
function fromEnvironment(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(globalFlags).flatMap((name) => {
    const value = env[`ETCDCTL_${name.toUpperCase().replaceAll('-', '_')}`];
    return value === undefined || value === '' ? [] : [`--${name}=${value}`];
  });
}

/** The verb or the group that help is wanted for; empty for all of it. Undefined: none is. A group alone asks for its help, too. */
function helpAsked(args: readonly string[]): string | undefined {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const byWord = wordsIn(own)[0]?.word === 'help';
  const words = wordsIn(byWord ? own.filter((argument) => argument !== 'help') : own);
  let path = '';
  for (const { word } of words) {
    const name = namedVerb(word, path === '' ? '' : `${path} `, etcdctlVerbNames);
    if (name === undefined) break;
    path = path === '' ? name : `${path} ${name}`;
    if (verbs[path] !== undefined) break;
  }
  const isGroupAlone = words.length <= 1 && verbs[path] === undefined && (words.length === 0 || path !== '');
  const asks = byWord || isGroupAlone || own.some((argument) => argument === '--help' || argument === '-h');
  return asks ? path : undefined;
}
