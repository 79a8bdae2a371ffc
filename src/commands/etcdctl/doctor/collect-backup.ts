/** What a folder of backups holds: the archive that `backup run` keeps, and files of `snapshot save`. Nothing in it is changed. */
import { open, readdir, stat } from 'node:fs/promises';
import { type Archive, type Chain, contentOf, openArchive } from '#etcd/backup/archive.ts';
import { revisionOfSnapshot } from '#etcd/backup/base-revision.ts';
import { ArchiveError, listArchive } from '#etcd/backup/names.ts';
import { type Disk, type DiskFile, hostDisk } from '#host/disk.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import type { BackupFacts } from './facts.ts';

/** Of the newest files as many are looked into; what is no snapshot is passed by. */
const filesMax = 20;

export async function lookAtBackups(folder: string): Promise<BackupFacts> {
  const problems: string[] = [];
  const attempt = async <T>(what: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await what();
    } catch (error) {
      const known = error instanceof ArchiveError || error instanceof BboltError;
      if (!known && !(error instanceof Error && 'syscall' in error)) throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  const archive = await attempt(() => archiveIn(folder));
  const snapshot = await attempt(() => snapshotIn(folder));
  return { folder, archive, snapshot, problems };
}

async function archiveIn(folder: string): Promise<BackupFacts['archive']> {
  const { bases, segments } = await listArchive(hostDisk, folder);
  if (bases.length === 0 && segments.length === 0) return undefined;
  const archive = await openArchive(hostDisk, folder);
  const newest = segments.at(-1);
  const clusterId = newest && (await contentOf(hostDisk, folder, newest)).start.clusterId;
  const chain = archive.chains.findLast(({ restorable }) => restorable !== undefined);
  if (chain === undefined) return { seenMs: archive.seenMs ?? 0, revision: 0, clusterId, restorable: false };
  return { seenMs: seenBy(archive, chain), revision: chain.restorable!.last, clusterId, restorable: true };
}

/** Only the newest segment is read: of a row before it what is certain is when its newest base was taken. */
function seenBy({ chains, seenMs }: Archive, chain: Chain): number {
  const baseMs = chain.bases.at(-1)!.timeMs;
  const isNewest = chain === chains.at(-1) && chain.segments.length > 0;
  return isNewest && seenMs !== undefined ? Math.max(seenMs, baseMs) : baseMs;
}

async function snapshotIn(folder: string): Promise<BackupFacts['snapshot']> {
  const names = (await readdir(folder, { withFileTypes: true })).flatMap((entry) =>
    entry.isFile() && !/^(lock|base-\d{16}-.*\.db|segment-\d{16}.*|.*\.part|.*\.tmp)$/.test(entry.name)
      ? [entry.name]
      : [],
  );
  const files = await Promise.all(
    names.map(async (name) => ({ path: `${folder}/${name}`, timeMs: (await stat(`${folder}/${name}`)).mtimeMs })),
  );
  for (const { path, timeMs } of files.sort((a, b) => b.timeMs - a.timeMs).slice(0, filesMax))
    try {
      return { path, timeMs, revision: await revisionOfSnapshot(readingDisk, path) };
    } catch (error) {
      if (!(error instanceof BboltError)) throw error;
    }
  return undefined;
}

/** Whoever may read backups need not be allowed to write them. */
const readingDisk: Disk = {
  ...hostDisk,
  async open(path): Promise<DiskFile> {
    const file = await open(path, 'r');
    const refuse = () => Promise.reject(new Error(`${path} is open for reading alone`));
    return {
      async read(position, length) {
        const bytes = Buffer.alloc(length);
        const { bytesRead } = await file.read(bytes, 0, length, position);
        return bytes.subarray(0, bytesRead);
      },
      write: refuse,
      truncate: refuse,
      sync: refuse,
      [Symbol.asyncDispose]: () => file.close(),
    };
  },
};
