/**
 * A folder for one process at a time: a file that names its holder. Node has no `flock`, so a file whose holder is gone is taken over;
 * a holder is known by its process id and, where the system tells it, the time it was started.
 */
import { open, readFile, rename, rm } from 'node:fs/promises';

export class LockedError extends Error {
  override readonly name = 'LockedError';
}

/** @throws LockedError when a living process holds the file */
export async function lockFile(path: string): Promise<AsyncDisposable> {
  const mine = `${process.pid} ${await startedAt(process.pid)}\n`;
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
    const holder = await readHolder(path);
    if (holder !== undefined && (await lives(holder)))
      throw new LockedError(`${path} is held by process ${holder.pid}`);
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

interface Holder {
  readonly pid: number;
  readonly started: string;
}

async function readHolder(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const match = /^(\d+) (\S+)\n$/.exec(text);
  return match === null ? undefined : { pid: Number(match[1]), started: match[2]! };
}

async function lives({ pid, started }: Holder): Promise<boolean> {
  // A second member in this process would be no better than one in another.
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return (await startedAt(pid)) === started;
}

/** Clock ticks since boot when the process was started (proc(5), field 22); `?` where there is no such file. */
async function startedAt(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.replace(/^.*\) /s, '').split(' ')[19] ?? '?';
}
