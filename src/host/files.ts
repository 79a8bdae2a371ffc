/**
 * Files and folders for whoever must not know Node's: missing is `undefined`, replacing is atomic, and what is written can be
 * made durable. Errors are Node's own (`code`, `path`), which name the operand.
 */
import {
  chmod,
  chown,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WriteOptions {
  /** Permission bits, exact (not masked by the process's umask). Default 0o644. */
  readonly mode?: number;
  /** Wait until bytes and name are on disk. Default true. */
  readonly durable?: boolean;
}

/** Bytes of a file; undefined when it is not there. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  return ifThere(readFile(path));
}

/** Target of a symbolic link; undefined when it is not there. */
export async function readLinkIfThere(path: string): Promise<string | undefined> {
  return ifThere(readlink(path));
}

/** The path without symbolic links; undefined when nothing is there, or a link leads nowhere. */
export async function realPath(path: string): Promise<string | undefined> {
  return ifThere(realpath(path));
}

/** Names in a folder, sorted; empty when it is not there. */
export async function listFolder(path: string): Promise<string[]> {
  return ((await ifThere(readdir(path))) ?? []).sort();
}

/** What stands at a path, not following a last symbolic link; undefined for nothing. */
export async function kindOf(
  path: string,
): Promise<'file' | 'folder' | 'link' | 'socket' | 'charDevice' | 'blockDevice' | 'other' | undefined> {
  const stat = await ifThere(lstat(path));
  if (stat === undefined) return undefined;
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'folder';
  if (stat.isSymbolicLink()) return 'link';
  if (stat.isSocket()) return 'socket';
  if (stat.isCharacterDevice()) return 'charDevice';
  if (stat.isBlockDevice()) return 'blockDevice';
  return 'other';
}

/** Replaces a file: readers see the old bytes or the new ones, never a part. */
export async function replaceFile(
  path: string,
  bytes: Uint8Array | string,
  { mode = 0o644, durable = true }: WriteOptions = {},
): Promise<void> {
  const fresh = `${path}.new`;
  const file = await open(fresh, 'w', mode);
  try {
    await file.writeFile(bytes);
    await file.chmod(mode);
    if (durable) await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  if (durable) await syncFolder(dirname(path));
}

/** Makes a folder and those above it. `mode` is exact for the folder itself; one that is there keeps its own. */
export async function makeFolder(path: string, mode = 0o755): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first !== undefined) await chmod(path, mode);
}

/** Puts a symbolic link in place of whatever link is there, atomically. */
export async function replaceLink(path: string, target: string): Promise<void> {
  const fresh = `${path}_tmp`;
  await rm(fresh, { force: true });
  await symlink(target, fresh);
  await rename(fresh, path);
}

/** Removes a file or a whole tree; nothing there is fine. Does not follow links. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

export async function setMode(path: string, mode: number): Promise<void> {
  await chmod(path, mode);
}

export async function setOwner(path: string, uid: number, gid: number): Promise<void> {
  await chown(path, uid, gid);
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function ifThere<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
