/**
 * A file that grows at its end: logs and downloads. Errors are Node's own (`code`, `path`).
 */
import { open } from 'node:fs/promises';

export interface AppendFile extends AsyncDisposable {
  /** Bytes in it, counting what was appended. */
  readonly size: number;
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when what was appended is on disk (fdatasync). */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
}

/** Opens a file for appending, making it when it is not there. */
export async function openAppendFile(path: string, mode = 0o600): Promise<AppendFile> {
  const file = await open(path, 'a', mode);
  let { size } = await file.stat();
  return {
    get size() {
      return size;
    },
    async append(bytes) {
      let written = 0;
      while (written < bytes.length) {
        const part = await file.write(bytes, written, bytes.length - written);
        written += part.bytesWritten;
        size += part.bytesWritten;
      }
    },
    sync: () => file.datasync(),
    async truncate(length) {
      await file.truncate(length);
      size = length;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** Reads `path` from `offset` to its end (or `end`, exclusive) in pieces of at most 256 KiB. */
export async function* readPieces(path: string, offset = 0, end = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    for (let at = offset; at < end; ) {
      const piece = Buffer.allocUnsafe(Math.min(256 << 10, end - at));
      const { bytesRead } = await file.read(piece, 0, piece.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
