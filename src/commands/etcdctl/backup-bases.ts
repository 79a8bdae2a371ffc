/** Bases of a backup archive: one at the beginning of a row of segments, then one every while; what they make needless goes. */
import { revisionOfSnapshot } from '#etcd/backup/base-revision.ts';
import { baseName, listArchive } from '#etcd/backup/names.ts';
import { dropUnneeded } from '#etcd/backup/retain.ts';
import { hostDisk } from '#host/disk.ts';
import { sleep } from '#std/clock.ts';
import type { RecorderOptions } from './backup-recorder.ts';
import { saveSnapshot } from './save-snapshot.ts';

/** A base of a member that lags is thrown away; another is asked for after that. */
const retryMs = 2000;

/** Until `signal` aborts. @param firstRevision of the row: older bases are of no use to it. @throws RpcError */
export async function keepBases(options: RecorderOptions, firstRevision: number): Promise<void> {
  const { session, folder, clock, baseEveryMs, retainMs, say, signal } = options;
  while (!signal.aborted) {
    const { bases } = await listArchive(hostDisk, folder);
    const newest = bases.findLast(({ revision }) => revision >= firstRevision - 1);
    const dueMs = newest === undefined ? 0 : newest.timeMs + baseEveryMs - clock.now();
    if (dueMs > 0) {
      await sleep(clock, dueMs, signal);
      continue;
    }
    const part = `${folder}/base.part`;
    let found = 0;
    const path = await saveSnapshot(
      session.channel,
      part,
      async () => {
        found = await revisionOfSnapshot(hostDisk, part);
        return found < firstRevision - 1 ? undefined : `${folder}/${baseName(found, clock.now())}`;
      },
      signal,
    );
    if (path === undefined) {
      say(
        `the snapshot is of revision ${found}, before ${firstRevision - 1}: the member lags behind, and is asked again`,
      );
      await sleep(clock, retryMs, signal);
      continue;
    }
    say(`base of revision ${found}: ${path}`);
    if (retainMs === undefined) continue;
    const dropped = await dropUnneeded(hostDisk, folder, clock.now() - retainMs);
    if (dropped > 0) say(`${dropped} files that are older than --retain and that nothing younger needs are gone`);
  }
}
