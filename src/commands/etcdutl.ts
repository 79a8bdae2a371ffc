/** `wherry etcdutl`: what is done to snapshots and folders without a server. */
import { readFileSync } from 'node:fs';
import { ArchiveError } from '#etcd/backup/names.ts';
import { checkedPages, restoreSnapshot, SnapshotError } from '#etcd/checkpoint/restore-snapshot.ts';
import { hostDisk } from '#host/disk.ts';
import { LockedError } from '#host/lock-file.ts';
import { crc32c } from '#std/crc32c.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import { BboltReader } from '#storage/bbolt/read.ts';
import { WalError } from '#storage/wal/wal.ts';
import { type Command, type CommandContext, CommandError, ExitCode } from './command.ts';
import { goJson, humanBytes, omitZero, table } from './etcdctl/print.ts';
import { EtcdctlError } from './etcdctl/session.ts';
import { backup, backupFlags } from './etcdutl-backup.ts';
import { etcdutlVerbNames, offline, offlineFlags } from './etcdutl-offline.ts';
import { recover, recoverFlags } from './etcdutl-recover.ts';
import { type FlagTable, flagHelp, type Parsed, parseFlags } from './flags.ts';
import { namedVerb } from './named-verb.ts';
import { newCluster, newClusterFlags } from './new-cluster-flags.ts';

const statusFlags: FlagTable = {
  'write-out': {
    short: 'w',
    kind: 'string',
    usage: 'set the output format (fields, json, simple, table)',
    default: 'simple',
  },
};

const restoreFlags: FlagTable = {
  ...newClusterFlags,
  'skip-hash-check': {
    kind: 'bool',
    usage: 'ignore snapshot integrity hash value (required if copied from data directory)',
  },
  'bump-revision': { kind: 'string', usage: 'how much to increase the latest revision after restore', default: '0' },
  'mark-compacted': {
    kind: 'bool',
    usage:
      'mark the latest revision after restore as the point of scheduled compaction (required if --bump-revision > 0)',
  },
};

export const etcdutl: Command = async (given, context) => {
  const args = verbFirst(given);
  const group = args[0] === undefined ? undefined : (namedVerb(args[0], '', etcdutlVerbNames) ?? args[0]);
  const verb = args[1] === undefined ? undefined : (namedVerb(args[1], `${group} `, etcdutlVerbNames) ?? args[1]);
  const rest = args.slice(2);
  try {
    if (group === 'snapshot' && verb === 'status') return status(parseFlags(rest, statusFlags), context);
    const done = offline(group, args.slice(1), context);
    if (done !== undefined) return await done;
    const archived = group === 'backup' ? backup(verb, rest, context) : undefined;
    if (archived !== undefined) return await archived;
    if (group === 'recover') return await recover(args.slice(1), context);
    if (group === 'snapshot' && verb === 'restore') return await restore(parseFlags(rest, restoreFlags), context);
  } catch (error) {
    const known = [CommandError, EtcdctlError, ArchiveError, SnapshotError, BboltError, WalError, LockedError].some(
      (type) => error instanceof type,
    );
    if (!known && !isFileError(error)) throw error;
    context.stderr.write(`Error: ${(error as Error).message}\n`);
    return ExitCode.failed;
  }
  const help = `Usage:\n  etcdutl snapshot status FILE [flags]\n${flagHelp(statusFlags)}\n  etcdutl snapshot restore FILE --data-dir DIR [flags]\n${flagHelp(restoreFlags)}\n  etcdutl recover DIR... [flags]\n${flagHelp(recoverFlags)}${Object.entries(
    { ...offlineFlags, ...backupFlags },
  )
    .map(([name, flags]) => `\n  etcdutl ${name} [flags]\n${flagHelp(flags)}`)
    .join('')}`;
  const asked = group === undefined || args.includes('--help') || args.includes('-h');
  (asked ? context.stdout : context.stderr).write(
    asked ? help : `Error: unknown command ${JSON.stringify(args[0])} for "etcdutl"\n${help}`,
  );
  return asked ? ExitCode.ok : ExitCode.failed;
};

/** `-w json snapshot status FILE`: a flag, with its value, may stand before the verb. */
function verbFirst(args: readonly string[]): readonly string[] {
  const count = /^(-w|--write-out)$/.test(args[0] ?? '') ? 2 : /^(-w|--write-out=)./.test(args[0] ?? '') ? 1 : 0;
  return [...args.slice(count), ...args.slice(0, count)];
}

function isFileError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

function oneFile({ operands }: Parsed, usage: string): string {
  const [path] = operands;
  if (path === undefined || operands.length > 1) throw new CommandError(ExitCode.usage, usage);
  return path;
}

function status(flags: Parsed, { stdout }: CommandContext): number {
  const path = oneFile(flags, 'snapshot status requires exactly one argument');
  const pages = checkedPages(readFileSync(path), true);
  const reader = new BboltReader(pages);
  let hash = 0;
  let revision = 0;
  let totalKey = 0;
  for (const name of reader.bucketNames()) {
    hash = crc32c(Buffer.from(name), hash);
    for (const { key, value } of reader.pairs(name)) {
      hash = crc32c(value, crc32c(key, hash));
      totalKey++;
      if (name === 'key') revision = Number(Buffer.from(key).readBigUInt64BE(0));
    }
  }
  const row = [hash.toString(16), String(revision), String(totalKey), humanBytes(pages.length)];
  const format = flags.string('write-out');
  if (format === 'json') stdout.write(`${goJson(omitZero({ hash, revision, totalKey, totalSize: pages.length }))}\n`);
  else if (format === 'table') stdout.write(table(['HASH', 'REVISION', 'TOTAL KEYS', 'TOTAL SIZE'], [row]));
  else if (format === 'fields')
    stdout.write(`"Hash" : ${hash}\n"Revision" : ${revision}\n"Keys" : ${totalKey}\n"Size" : ${pages.length}\n`);
  else stdout.write(`${row.join(', ')}\n`);
  return ExitCode.ok;
}

async function restore(flags: Parsed, { stderr }: CommandContext): Promise<number> {
  const path = oneFile(flags, 'snapshot restore requires exactly one argument');
  const bumpText = flags.string('bump-revision')!;
  if (!/^\d+$/.test(bumpText) || !Number.isSafeInteger(Number(bumpText)))
    throw new CommandError(ExitCode.usage, `invalid argument ${JSON.stringify(bumpText)} for "--bump-revision" flag`);
  const bumpRevision = Number(bumpText);
  if (flags.bool('mark-compacted') !== bumpRevision > 0)
    throw new CommandError(
      ExitCode.usage,
      bumpRevision > 0 ? '--mark-compacted required if --bump-revision' : '--mark-compacted requires --bump-revision',
    );
  const target = await newCluster(flags);
  await restoreSnapshot({
    disk: hostDisk,
    snapshot: readFileSync(path),
    ...target,
    skipHashCheck: flags.bool('skip-hash-check'),
    bumpRevision,
  });
  stderr.write(`restored ${path} into ${target.dataDir}\n`);
  return ExitCode.ok;
}
