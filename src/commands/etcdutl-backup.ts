/**
 * `wherry etcdutl backup status|verify|restore`: what is done with the archives of `etcdctl backup run`. A restore never lets watchers see revisions go back,
 * unless it is told to. Upstream has no such commands.
 */
import { type Archive, contentOf, openArchive, restorableText, seenRevision } from '#etcd/backup/archive.ts';
import { ArchiveError } from '#etcd/backup/names.ts';
import {
  bumpBeyondArchive,
  type RestorePoint,
  resolvePoint,
  restoreAt,
  unknownLeaseTtl,
} from '#etcd/backup/restore.ts';
import { checkBase } from '#etcd/backup/verify.ts';
import { beginCluster } from '#etcd/checkpoint/restore-snapshot.ts';
import { hostDisk } from '#host/disk.ts';
import { type CommandContext, CommandError, ExitCode } from './command.ts';
import { goJson, table } from './etcdctl/print.ts';
import { type FlagTable, type Parsed, parseFlags } from './flags.ts';
import { newCluster, newClusterFlags } from './new-cluster-flags.ts';

const restoreFlags: FlagTable = {
  ...newClusterFlags,
  revision: { kind: 'string', usage: 'restore this revision (default: the newest in the archive)' },
  time: { kind: 'string', usage: 'restore what had been seen by this time, "2026-01-31T15:04:05Z"' },
  'bump-revision': {
    kind: 'string',
    usage:
      'how much to increase the revision, and mark everything before as compacted; 0 for neither (default: past everything the archive has seen, and a billion more)',
  },
};

/** The flags of each verb. */
export const backupFlags = {
  'backup status': {
    'write-out': { short: 'w', kind: 'string', usage: 'output format (json, simple, table)', default: 'simple' },
  },
  'backup verify': {},
  'backup restore': restoreFlags,
} as const satisfies Readonly<Record<string, FlagTable>>;

const verbs: Readonly<
  Record<keyof typeof backupFlags, (folder: string, flags: Parsed, context: CommandContext) => Promise<number>>
> = { 'backup status': status, 'backup verify': verify, 'backup restore': restore };

/** Undefined for a verb that is none of these. */
export function backup(
  verb: string | undefined,
  args: readonly string[],
  context: CommandContext,
): Promise<number> | undefined {
  const name = `backup ${verb}`;
  if (!Object.hasOwn(verbs, name)) return undefined;
  const known = name as keyof typeof verbs;
  const flags = parseFlags(args, backupFlags[known]);
  const [folder, ...more] = flags.operands;
  if (folder === undefined || more.length > 0) throw new CommandError(ExitCode.usage, `${name} requires one folder`);
  return verbs[known](folder, flags, context);
}

const iso = (ms: number | undefined) => (ms === undefined ? '' : new Date(ms).toISOString());

async function status(folder: string, flags: Parsed, { stdout }: CommandContext): Promise<number> {
  const archive = await openArchive(hostDisk, folder);
  const rows = archive.chains.map(({ segments, bases, restorable }) => ({
    first: restorable?.first,
    last: restorable?.last,
    bases: bases.length,
    segments: segments.length,
    newestBase: iso(bases.at(-1)?.timeMs) || undefined,
  }));
  const format = flags.string('write-out');
  if (format === 'json') stdout.write(`${goJson({ ranges: rows, seenUntil: iso(archive.seenMs) || undefined })}\n`);
  else if (format === 'table')
    stdout.write(
      table(
        ['FIRST', 'LAST', 'BASES', 'SEGMENTS', 'NEWEST BASE'],
        rows.map(({ first = '-', last = '-', bases, segments, newestBase = '-' }) =>
          [first, last, bases, segments, newestBase].map(String),
        ),
      ),
    );
  else stdout.write(`revisions: ${restorableText(archive)}\nseen until: ${iso(archive.seenMs) || '-'}\n`);
  if (archive.torn !== undefined) stdout.write(tornText(archive.torn));
  return ExitCode.ok;
}

function tornText({ path, at }: NonNullable<Archive['torn']>): string {
  return `${path}: the record at byte ${at} is cut: whoever wrote it was stopped. What comes before is whole.\n`;
}

async function verify(folder: string, _flags: Parsed, { stdout, stderr }: CommandContext): Promise<number> {
  const problems: string[] = [];
  const check = async (what: () => Promise<unknown>) => {
    try {
      await what();
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      problems.push(error.message);
    }
  };
  let archive: Archive | undefined;
  await check(async () => {
    archive = await openArchive(hostDisk, folder);
  });
  for (const { bases, segments } of archive?.chains ?? []) {
    for (const base of bases) await check(() => checkBase(hostDisk, folder, base));
    for (const segment of segments) await check(() => contentOf(hostDisk, folder, segment));
  }
  for (const problem of problems) stderr.write(`${problem}\n`);
  if (archive?.torn !== undefined) stdout.write(tornText(archive.torn));
  if (problems.length > 0) throw new CommandError(ExitCode.failed, `${folder}: ${problems.length} damaged`);
  stdout.write(`revisions: ${restorableText(archive!)}\nall sums match\n`);
  return ExitCode.ok;
}

async function restore(folder: string, flags: Parsed, { stderr }: CommandContext): Promise<number> {
  const point = pointOf(flags);
  const bump = bumpOf(flags);
  const target = await newCluster(flags);
  const archive = await openArchive(hostDisk, folder);
  if (archive.torn !== undefined) stderr.write(tornText(archive.torn));
  const { revision, seenMs } = await resolvePoint(hostDisk, archive, point);
  stderr.write(`restoring revision ${revision}${seenMs === undefined ? '' : `, seen at ${iso(seenMs)}`}\n`);
  const { machine, base, replayed, unknownLeases } = await restoreAt(hostDisk, archive, revision);
  stderr.write(`${base} and ${replayed} revisions after it\n`);
  if (unknownLeases > 0)
    stderr.write(
      `${unknownLeases} leases of unknown length end after ${unknownLeaseTtl} s unless they are kept alive\n`,
    );
  const bumpRevision = bump ?? seenRevision(archive) - revision + bumpBeyondArchive;
  try {
    await beginCluster({ disk: hostDisk, ...target, bumpRevision, saved: machine });
  } catch (error) {
    await hostDisk.remove(`${target.dataDir}/member`);
    throw error;
  }
  stderr.write(
    bumpRevision === 0
      ? `restored into ${target.dataDir} at revision ${revision}: watchers that saw later ones will see revisions go back\n`
      : `restored into ${target.dataDir} at revision ${revision + bumpRevision}; what comes before counts as compacted\n`,
  );
  return ExitCode.ok;
}

function pointOf(flags: Parsed): RestorePoint {
  const [revision, time] = [flags.string('revision'), flags.string('time')];
  if (revision !== undefined && time !== undefined)
    throw new CommandError(ExitCode.usage, '--revision and --time exclude each other');
  if (revision !== undefined) return { kind: 'revision', revision: wholeNumber(revision, 'revision') };
  if (time === undefined) return { kind: 'newest' };
  const timeMs = Date.parse(time);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(time) || Number.isNaN(timeMs))
    throw new CommandError(ExitCode.usage, `invalid argument ${JSON.stringify(time)} for "--time" flag: not RFC 3339`);
  return { kind: 'time', timeMs };
}

function bumpOf(flags: Parsed): number | undefined {
  const text = flags.string('bump-revision');
  return text === undefined ? undefined : wholeNumber(text, 'bump-revision');
}

function wholeNumber(text: string, name: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new CommandError(ExitCode.usage, `invalid argument ${JSON.stringify(text)} for "--${name}" flag`);
  return Number(text);
}
