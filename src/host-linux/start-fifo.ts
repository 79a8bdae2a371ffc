/** The FIFO that holds a created container back: its process writes one byte, and waits until somebody reads it. fifo(7) */
import { chownSync, closeSync, constants, openSync, readSync } from 'node:fs';
import koffi from 'koffi';
import { SystemError } from './rooted-folder.ts';

/** Makes it; the container's user must be able to write to it. */
export function makeFifo(path: string, uid: number, gid: number): void {
  const call = koffi.load('libc.so.6').func('int mkfifo(const char *, uint)');
  if (call(path, 0o622) !== 0) throw new SystemError('mkfifo', path);
  chownSync(path, uid, gid);
}

/** Our end of it. It stays open until the byte has come: a writer that is left alone in the middle would fail. */
export class StartFifo implements Disposable {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** Takes the byte, which lets the process go. False: the process has not come to it yet. */
  take(): boolean {
    try {
      return readSync(this.#fd, Buffer.alloc(1), 0, 1, null) === 1;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
