/**
 * A folder for one process at a time: a file that names its holder. Node has no `flock`, so a file whose holder is gone is taken over;
 * a holder is known by its process id and, where the system tells it, the time it was started.
 */
import { open, readFile, rename, rm } from 'node:fs/promises';

export class LockedError extends Error {
  override readonly name = 'LockedError';
}

export interface LockHolder {
  readonly pid: number;
  /** Clock ticks since boot; `?` where the system does not tell. */
  readonly started: string;
}

/** @throws LockedError when a living process holds the file */
export async function lockFile(path: string): Promise<AsyncDisposable> {
  const mine = `${process.pid} ${(await readProcess(process.pid)).started}\n`;
  // Twice: a file that is taken over may be made by somebody else first.
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.writeFile(mine);
      } finally {
        await file.close();
      }
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await lockHolder(path);
    if (holder !== undefined) throw new LockedError(`${path} is held by process ${holder.pid}`);
    // Only one of those who saw the stale file can move it away.
    const aside = `${path}.${process.pid}`;
    await rename(path, aside).then(
      () => rm(aside, { force: true }),
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      },
    );
  }
  throw new LockedError(`${path} was taken by another process just now`);
}

/** The living process that holds the file; undefined when there is none. */
export async function lockHolder(path: string): Promise<LockHolder | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const match = /^(\d+) (\S+)\n$/.exec(text);
  if (match === null) return undefined;
  const holder = { pid: Number(match[1]), started: match[2]! };
  return (await holderLives(holder)) ? holder : undefined;
}

/** Whether it is still there: not ended, and not another process that got the number later. */
export async function holderLives({ pid, started }: LockHolder): Promise<boolean> {
  // A second member in this process would be no better than one in another.
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = await readProcess(pid);
  // One that has ended and was not waited for yet holds nothing any more.
  return now.started === started && now.state !== 'Z';
}

/** proc(5), `stat`: fields 3 and 22; `?` where there is no such file. */
async function readProcess(pid: number): Promise<{ readonly state: string; readonly started: string }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in parentheses, whatever it contains.
  const fields = stat.replace(/^.*\) /s, '').split(' ');
  return { state: fields[0] || '?', started: fields[19] ?? '?' };
}
