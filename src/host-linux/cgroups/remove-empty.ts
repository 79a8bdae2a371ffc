/** Takes away cgroup folders that nobody uses any more. rmdir(2) on a cgroup returns at once and refuses one in use. */
import { readdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CgroupLayout, readCgroupLayout } from './detect.ts';
import type { CgroupFolders } from './manager.ts';

/** Removes each folder, and the `above` folders above it, as long as they are empty. Those that are not, or not there, are left. */
export function removeEmptyCgroups(folders: CgroupFolders, above = 0): void {
  for (const folder of new Set(Object.values(folders))) {
    let path = folder;
    for (let level = 0; level <= above; level++) {
      if (!removeEmpty(path)) break;
      path = dirname(path);
    }
  }
}

/** Removes what is empty of the folders and all below them. */
export function removeEmptyCgroupTrees(folders: CgroupFolders): void {
  for (const folder of new Set(Object.values(folders))) removeTree(folder);
}

function removeTree(folder: string): void {
  let entries: string[];
  try {
    entries = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  for (const name of entries) removeTree(join(folder, name));
  removeEmpty(folder);
}

/** False when it is in use. */
function removeEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    throw error;
  }
}

/** The folder of a cgroup in every hierarchy that is mounted. A hybrid machine's v2 is one: other runtimes make folders there, too. */
export function foldersEverywhere(path: string, layout: CgroupLayout = readCgroupLayout()): CgroupFolders {
  const folders: Record<string, string> = {};
  for (const [name, { mountPoint }] of Object.entries(layout.v1)) folders[name] = join(mountPoint, path);
  if (layout.v2 !== undefined) folders['unified'] = join(layout.v2.mountPoint, path);
  return folders;
}
