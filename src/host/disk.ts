/**
 * Files that a database writes in place, as an interface: the machine's disk here, a simulated one elsewhere. Paths are absolute or
 * relative to the process. Errors are Node's own (`code`, `path`).
 */
import { constants, write } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { listFolder, makeFolder, readIfThere, removeTree, syncFolder } from './files.ts';
import { lockFile } from './lock-file.ts';

export interface DiskFile extends AsyncDisposable {
  /** Bytes from `position`; fewer than `length` only at the end of the file. They may be put into `room`, if that is large enough. */
  read(position: number, length: number, room?: Buffer): Promise<Buffer>;
  /** Writes all of `bytes` at `position`; the file grows as needed. On disk after {@link sync}; when the file was opened as durable, at once. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or lets it grow by zeros. */
  truncate(size: number): Promise<void>;
  /** Resolves when what was written is on disk (fdatasync). */
  sync(): Promise<void>;
}

export interface OpenOptions {
  /** A write is on disk when it resolves (O_DSYNC): one trip to the disk where a write and a sync are two. */
  readonly durable?: boolean;
}

export interface Disk {
  /** Names in a folder, sorted; empty when it is not there. */
  list(folder: string): Promise<string[]>;
  /** All bytes; undefined when the file is not there. */
  read(path: string): Promise<Buffer | undefined>;
  /** Opens a file for writing in place, making it when it is not there. */
  open(path: string, options?: OpenOptions): Promise<DiskFile>;
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
  async open(path, options) {
    const file = await openInPlace(path, options?.durable === true);
    return {
      async read(position, length, room) {
        const bytes = room !== undefined && room.length >= length ? room : Buffer.allocUnsafe(length);
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
        while (written < bytes.length) written += await writeSome(file.fd, bytes, written, position + written);
      },
      truncate: (size) => file.truncate(size),
      sync: () => file.datasync(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  },
};

/** Some of `bytes` from `offset` on. Without the promises of `FileHandle`, which cost as much again as the call: every acknowledged write waits for one of these. */
function writeSome(descriptor: number, bytes: Uint8Array, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, offset, bytes.length - offset, position, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}

async function openInPlace(path: string, durable: boolean) {
  const flags = constants.O_RDWR | (durable ? constants.O_DSYNC : 0);
  try {
    return await open(path, flags, fileMode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(path, flags | constants.O_CREAT, fileMode);
  }
}
