/**
 * Files that a database writes in place, as an interface: the machine's disk here, a simulated one elsewhere. Paths are absolute or
 * relative to the process. Errors are Node's own (`code`, `path`).
 */
import { open, rename } from 'node:fs/promises';
import { listFolder, makeFolder, readIfThere, removeTree, syncFolder } from './files.ts';
import { lockFile } from './lock-file.ts';

export interface DiskFile extends AsyncDisposable {
  /** Bytes from `position`; fewer than `length` only at the end of the file. */
  read(position: number, length: number): Promise<Buffer>;
  /** Writes all of `bytes` at `position`; the file grows as needed. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or lets it grow by zeros. */
  truncate(size: number): Promise<void>;
  /** Resolves when what was written is on disk (fdatasync). */
  sync(): Promise<void>;
}

export interface Disk {
  /** Names in a folder, sorted; empty when it is not there. */
  list(folder: string): Promise<string[]>;
  /** All bytes; undefined when the file is not there. */
  read(path: string): Promise<Buffer | undefined>;
  /** Opens a file for writing in place, making it when it is not there. */
  open(path: string): Promise<DiskFile>;
  makeFolder(path: string): Promise<void>;
  /** Replaces the target; durable after {@link syncFolder}. */
  rename(source: string, target: string): Promise<void>;
  /** Nothing there is fine. */
  remove(path: string): Promise<void>;
  /** Holds a file until disposed. @throws LockedError (`./lock-file.ts`) when somebody else does */
  lock(path: string): Promise<AsyncDisposable>;
  /** Makes names in the folder durable. */
  syncFolder(path: string): Promise<void>;
}

/** Only the owner reads what a database holds. */
const fileMode = 0o600;
const folderMode = 0o700;

export const hostDisk: Disk = {
  list: listFolder,
  read: readIfThere,
  makeFolder: (path) => makeFolder(path, folderMode),
  rename,
  remove: removeTree,
  syncFolder,
  lock: lockFile,
  async open(path) {
    const file = await openInPlace(path);
    return {
      async read(position, length) {
        const bytes = Buffer.allocUnsafe(length);
        let filled = 0;
        while (filled < length) {
          const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
        return bytes.subarray(0, filled);
      },
      async write(bytes, position) {
        let written = 0;
        while (written < bytes.length)
          written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
      },
      truncate: (size) => file.truncate(size),
      sync: () => file.datasync(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  },
};

async function openInPlace(path: string) {
  try {
    return await open(path, 'r+', fileMode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(path, 'w+', fileMode);
  }
}
