/**
 * Small state folders in memory-backed places such as /run: synchronous, because a call costs microseconds there and a container
 * has to be on record before it exists. Not for disks.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a folder that must not be there. False when it is. Folders above it are made. */
export function makeStateFolder(path: string): boolean {
  for (;;)
    try {
      mkdirSync(path, 0o711);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      if (code !== 'ENOENT') throw error;
      mkdirSync(join(path, '..'), { recursive: true, mode: 0o711 });
    }
}

/** Writes a file whole: a reader sees the old or the new. */
export function writeStateFile(folder: string, name: string, text: string): void {
  const draft = join(folder, `.${name}`);
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, join(folder, name));
}

/** undefined when it is not there. */
export function readStateFile(folder: string, name: string): string | undefined {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Names of the folders in a folder, sorted; none when it is not there. */
export function listStateFolders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export function removeStateFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** Nothing there is fine. */
export function removeStateFile(folder: string, name: string): void {
  rmSync(join(folder, name), { force: true });
}
