/** `wherry etcdutl defrag|hashkv|migrate|version|completion`: what is done to folders and files that no server has open. */
import { readFileSync, statSync } from 'node:fs';
import { readBackend, sliceBytes } from '#etcd/checkpoint/backend.ts';
import { checkedPages } from '#etcd/checkpoint/restore-snapshot.ts';
import { replaceFile } from '#etcd/checkpoint/save.ts';
import { hashKv } from '#etcd/maintenance/hash-kv.ts';
import { hostDisk } from '#host/disk.ts';
import { isLocked } from '#host/held-locks.ts';
import { joinPieces } from '#std/bytes.ts';
import { BboltReader } from '#storage/bbolt/read.ts';
import { PagedBbolt, readFrom } from '#storage/bbolt/read-paged.ts';
import { layOut, type Pair } from '#storage/bbolt/write.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { type CommandContext, CommandError, ExitCode } from './command.ts';
import { createLog } from './etcd/log.ts';
import { completionScript } from './etcdctl/completion.ts';
import { goJson, table } from './etcdctl/print.ts';
import { type FlagTable, type Parsed, parseFlags } from './flags.ts';

type Verb = (flags: Parsed, context: CommandContext) => Promise<number>;

const dataDir = { kind: 'string', usage: 'path to the etcd data dir' } as const;

export const offlineFlags = {
  defrag: { 'data-dir': dataDir },
  hashkv: {
    'write-out': {
      short: 'w',
      kind: 'string',
      usage: 'output format (fields, json, simple, table)',
      default: 'simple',
    },
    rev: { kind: 'string', usage: 'maximum revision to hash (default: latest revision)', default: '0' },
  },
  migrate: {
    'data-dir': dataDir,
    'target-version': { kind: 'string', usage: 'target etcd version to migrate contents of data dir, "X.Y"' },
    force: { kind: 'bool', usage: 'ignore migration failure and forcefully override storage version' },
  },
  version: {},
  completion: {},
} as const satisfies Readonly<Record<string, FlagTable>>;

const verbs: Readonly<Record<keyof typeof offlineFlags, Verb>> = { defrag, hashkv, migrate, version, completion };

/** What the user may type, what is kept elsewhere among it. */
export const etcdutlVerbNames: readonly string[] = [
  'snapshot status',
  'snapshot restore',
  'recover',
  'backup status',
  'backup verify',
  'backup restore',
  ...Object.keys(offlineFlags),
];

/** Undefined for a verb that is none of these. */
export function offline(
  name: string | undefined,
  args: readonly string[],
  context: CommandContext,
): Promise<number> | undefined {
  if (name === undefined || !Object.hasOwn(verbs, name)) return undefined;
  const verb = name as keyof typeof offlineFlags;
  return verbs[verb](parseFlags(args, offlineFlags[verb]), context);
}

/** Writes the file anew, without gaps. Whoever has the folder open keeps it. */
async function defrag(flags: Parsed, { stdout, stderr }: CommandContext): Promise<number> {
  const folder = required(flags, 'data-dir');
  const path = `${folder}/member/snap/db`;
  const before = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  await rewrite(folder, (_bucket, pairs) => pairs);
  const after = statSync(path).size;
  // The line that upstream's storage logs, under its names.
  createLog({ level: 'info', format: 'json', outputs: ['stderr'], stdout, stderr })(
    'info',
    'finished defragmenting directory',
    { path, 'current-db-size-bytes-diff': after - before, 'current-db-size-bytes': after },
  );
  return ExitCode.ok;
}

async function hashkv(flags: Parsed, { stdout }: CommandContext): Promise<number> {
  const [path, ...more] = flags.operands;
  if (path === undefined || more.length > 0)
    throw new CommandError(ExitCode.failed, `accepts 1 arg(s), received ${flags.operands.length}`);
  const text = flags.string('rev')!;
  if (!/^\d+$/.test(text))
    throw new CommandError(
      ExitCode.failed,
      `invalid argument ${JSON.stringify(text)} for "--rev" flag: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  const pages = checkedPages(readFileSync(path), true);
  const { machine } = await readBackend(await PagedBbolt.open(readFrom(pages)));
  const { hash, hashRevision, compactRevision } = await hashKv(machine.store, Number(text));
  const row = [hash, hashRevision, compactRevision].map(String);
  const format = flags.string('write-out');
  if (format === 'json') stdout.write(`${goJson({ hash, hashRevision, compactRevision })}\n`);
  else if (format === 'table') stdout.write(table(['HASH', 'HASH REVISION', 'COMPACT REVISION'], [row]));
  else if (format === 'fields')
    stdout.write(`"Hash" : ${hash}\n"Hash revision" : ${hashRevision}\n"Compact revision" : ${compactRevision}\n`);
  else stdout.write(`${row.join(', ')}\n`);
  return ExitCode.ok;
}

const storageVersion = 'storageVersion';

/** Between 3.5 and 3.6 lies one word in the file: that it is of 3.6. */
async function migrate(flags: Parsed, { stderr }: CommandContext): Promise<number> {
  const folder = required(flags, 'data-dir');
  const target = required(flags, 'target-version');
  const match = /^(\d+)\.(\d+)$/.exec(target);
  if (match === null)
    throw new CommandError(
      ExitCode.failed,
      `wrong target version format, expected "X.Y", got ${JSON.stringify(target)}`,
    );
  const [major, minor] = [Number(match[1]), Number(match[2])];
  if (major < 3 || (major === 3 && minor < 5))
    throw new CommandError(ExitCode.failed, `target version ${JSON.stringify(target)} not supported. Minimal "3.5"`);
  if ((major > 3 || minor > 6) && !flags.bool('force'))
    throw new CommandError(ExitCode.failed, `version ${JSON.stringify(`${target}.0`)} is not supported`);
  const reader = new BboltReader(readFileSync(`${folder}/member/snap/db`));
  const found = [...reader.pairs('meta')].find(({ key }) => Buffer.from(key).toString() === storageVersion);
  const current = found === undefined ? '3.5' : Buffer.from(found.value).toString().replace(/\.0$/, '');
  if (current === target) {
    stderr.write(`storage version up-to-date: ${current}\n`);
    return ExitCode.ok;
  }
  await rewrite(folder, (bucket, pairs) => {
    if (bucket !== 'meta') return pairs;
    const others = [...pairs].filter(({ key }) => key.toString() !== storageVersion);
    const own = { key: Buffer.from(storageVersion), value: Buffer.from(`${target}.0`) };
    // 3.5 knows no such word.
    return target === '3.5' ? others : [...others, own].sort((a, b) => Buffer.compare(a.key, b.key));
  });
  stderr.write(`updated storage version: ${target}\n`);
  return ExitCode.ok;
}

async function version(_flags: Parsed, { stdout }: CommandContext): Promise<number> {
  stdout.write(`etcdutl version: 3.5 (wherry ${packageJson.version})\nAPI version: 3.5\n`);
  return ExitCode.ok;
}

async function completion({ operands }: Parsed, { stdout }: CommandContext): Promise<number> {
  stdout.write(completionScript('etcdutl', operands[0] ?? '', etcdutlVerbNames));
  return ExitCode.ok;
}

/** The same file, bucket by bucket; the old one stays until the new one is on disk. */
async function rewrite(
  folder: string,
  change: (bucket: string, pairs: Iterable<Pair>) => Iterable<Pair>,
): Promise<void> {
  await using _lock = await hostDisk.lock(`${folder}/member/lock`);
  const path = `${folder}/member/snap/db`;
  // Upstream's server holds the file itself.
  if (isLocked(path)) throw new CommandError(ExitCode.failed, `${path} is in use by another program`);
  const reader = new BboltReader(readFileSync(path));
  const buckets = [...reader.bucketNames()].map((name) => ({
    name,
    *pairs() {
      yield* change(name, copies(reader, name));
    },
  }));
  await replaceFile(hostDisk, path, joinPieces(layOut(buckets).pages(), sliceBytes));
  await hostDisk.syncFolder(`${folder}/member/snap`);
}

function* copies(reader: BboltReader, bucket: string): Generator<Pair> {
  for (const { key, value } of reader.pairs(bucket)) yield { key: Buffer.from(key), value: Buffer.from(value) };
}

function required(flags: Parsed, name: string): string {
  const value = flags.string(name);
  if (value === undefined) throw new CommandError(ExitCode.failed, `required flag(s) ${JSON.stringify(name)} not set`);
  return value;
}
