/** Reading what cgroups tell: small files of one number or of `key value` lines. A file that is missing reads as nothing. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENODEV: the cgroup was removed while its file was open.
    if (code === 'ENOENT' || code === 'ENODEV') return undefined;
    throw error;
  }
}

/** undefined for a missing file and for `max`. */
export async function readNumber(path: string): Promise<bigint | undefined> {
  const text = (await readText(path))?.trim();
  return text === undefined || !/^-?\d+$/.test(text) ? undefined : BigInt(text);
}

export async function readKeyed(path: string): Promise<ReadonlyMap<string, bigint>> {
  const values = new Map<string, bigint>();
  for (const line of ((await readText(path)) ?? '').split('\n')) {
    const [key, value] = line.split(' ');
    if (key && value !== undefined && /^\d+$/.test(value)) values.set(key, BigInt(value));
  }
  return values;
}

/** Processes of a cgroup and of all below it. */
export async function readPids(folder: string): Promise<number[]> {
  const pids = ((await readText(join(folder, 'cgroup.procs'))) ?? '').split('\n').filter(Boolean).map(Number);
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) pids.push(...(await readPids(join(folder, entry.name))));
  return pids;
}
