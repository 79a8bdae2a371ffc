/**
 * `etcdctl backup run`: a continuous backup of any etcd by its public API, in an archive that `etcdutl backup` restores from. Upstream has no such
 * command.
 */
import { ArchiveError } from '#etcd/backup/names.ts';
import { segmentBytesDefault } from '#etcd/backup/segment-writer.ts';
import { systemClock } from '#host/clock.ts';
import { hostDisk } from '#host/disk.ts';
import { LockedError } from '#host/lock-file.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import { durationMs } from '../flags.ts';
import { stopSignals } from '../stop-signals.ts';
import { record } from './backup-recorder.ts';
import { EtcdctlExit, type Verb, wrong } from './session.ts';

export const backupVerbs: Readonly<Record<string, Verb>> = {
  run: {
    flags: {
      'sync-interval': { kind: 'string', usage: 'how long changes may wait before they are on disk', default: '1s' },
      'base-interval': { kind: 'string', usage: 'how often a new base is taken', default: '24h' },
      'segment-size': {
        kind: 'string',
        usage: 'bytes after which a segment is ended',
        default: String(segmentBytesDefault),
      },
      retain: {
        kind: 'string',
        usage: 'how far back it must be possible to restore; what is older goes (default: everything stays)',
      },
    },
    async run(session) {
      const { args, flags, context } = session;
      const [folder] = args;
      if (folder === undefined || args.length > 1) throw wrong('backup run expects one folder');
      const positive = (name: string) => {
        const ms = durationMs(flags.string(name)!, name);
        if (ms <= 0) throw wrong(`--${name} must be more than nothing`);
        return ms;
      };
      const size = flags.string('segment-size')!;
      if (!/^\d{1,10}$/.test(size) || Number(size) === 0) throw wrong(`bad --segment-size ${JSON.stringify(size)}`);
      const options = {
        session,
        folder,
        clock: systemClock,
        syncMs: durationMs(flags.string('sync-interval')!, 'sync-interval'),
        baseEveryMs: positive('base-interval'),
        segmentBytes: Number(size),
        retainMs: flags.has('retain') ? positive('retain') : undefined,
        say: (line: string) => void context.stderr.write(`${line}\n`),
      };
      using stop = stopSignals();
      try {
        await hostDisk.makeFolder(folder);
        await using _ = await hostDisk.lock(`${folder}/lock`);
        // Of a run that ended in the middle.
        for (const name of await hostDisk.list(folder))
          if (/\.part$|\.open\.tmp$/.test(name)) await hostDisk.remove(`${folder}/${name}`);
        await record({ ...options, signal: stop.signal });
      } catch (error) {
        const known = [ArchiveError, BboltError, LockedError].some((type) => error instanceof type);
        if (known || (error instanceof Error && 'syscall' in error))
          throw wrong((error as Error).message, EtcdctlExit.error);
        throw error;
      }
    },
  },
};
