/** How much of a disk something takes, as the kernel counts. Errors are Node's own. */
import { lstat, readdir, statfs } from 'node:fs/promises';

export interface DiskUsage {
  /** Bytes of the blocks that files and folders take; a file with several names counts once. */
  readonly bytes: number;
  readonly inodes: number;
}

/** Walks a tree without following links or leaving its file system. What goes away meanwhile is left out. */
export async function diskUsage(root: string, signal?: AbortSignal): Promise<DiskUsage> {
  let bytes = 0;
  let inodes = 0;
  const seen = new Set<string>();
  const { dev } = await lstat(root);
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal?.throwIfAborted();
    const names = folder === root ? ['.', ...(await namesIn(folder))] : await namesIn(folder);
    for (const name of names) {
      const path = `${folder}/${name}`;
      const stat = await lstat(path).catch(() => undefined);
      if (stat === undefined || stat.dev !== dev) continue;
      if (stat.nlink > 1 && !stat.isDirectory()) {
        if (seen.has(String(stat.ino))) continue;
        seen.add(String(stat.ino));
      }
      bytes += stat.blocks * 512;
      inodes++;
      if (stat.isDirectory() && name !== '.') folders.push(path);
    }
  }
  return { bytes, inodes };
}

/** What is in use on the file system that holds `path`. */
export async function fileSystemUsage(path: string): Promise<DiskUsage & { readonly capacityBytes: number }> {
  const { bsize, blocks, bfree, files, ffree } = await statfs(path);
  return { bytes: (blocks - bfree) * bsize, inodes: files - ffree, capacityBytes: blocks * bsize };
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
