/** Reads a small file through a descriptor that is open, and closes it. Errors are Node's own. */
import { closeSync, fstatSync, readSync } from 'node:fs';

/** What is beyond `bytesMax` is left unread. Anything but a regular file reads as empty: a FIFO would wait for ever. */
export function readFileLimited(fd: number, bytesMax: number): Buffer {
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return Buffer.alloc(0);
    const bytes = Buffer.alloc(Math.min(stat.size, bytesMax));
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(fd, bytes, filled, bytes.length - filled, filled);
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  } finally {
    closeSync(fd);
  }
}
