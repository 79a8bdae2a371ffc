/** A file that somebody else writes to: read at an offset, told of growth, noticed when another file took its name. */
import { watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

export interface Tail extends AsyncDisposable {
  size(): Promise<number>;
  /** At most `length` bytes; empty at the end. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Resolves when the file may have changed, after `timeoutMs` at the latest, or when aborted. */
  changed(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Another file stands under the name now (rotation). */
  replaced(): Promise<boolean>;
  reopen(): Promise<void>;
}

export async function openTail(path: string): Promise<Tail> {
  let handle: FileHandle = await open(path, 'r');
  return {
    size: async () => (await handle.stat()).size,
    async read(offset, length) {
      const buffer = Buffer.allocUnsafe(length);
      const { bytesRead } = await handle.read(buffer, 0, length, offset);
      return buffer.subarray(0, bytesRead);
    },
    changed: (timeoutMs, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        const finish = () => {
          clearTimeout(timer);
          watcher?.close();
          signal.removeEventListener('abort', finish);
          resolve();
        };
        const timer = setTimeout(finish, timeoutMs);
        let watcher: ReturnType<typeof watch> | undefined;
        try {
          watcher = watch(path, finish);
          watcher.on('error', finish);
        } catch {
          // Without inotify the timer alone drives the reading.
        }
        signal.addEventListener('abort', finish, { once: true });
      }),
    async replaced() {
      const now = await stat(path).catch(() => undefined);
      return now !== undefined && now.ino !== (await handle.stat()).ino;
    },
    async reopen() {
      const next = await open(path, 'r');
      await handle.close();
      handle = next;
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}
