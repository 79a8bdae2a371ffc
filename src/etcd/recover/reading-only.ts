/** A disk that takes no change: what is written to it is gone, what is read is there. */
import type { Disk } from '#host/disk.ts';

export function readingOnly(disk: Disk): Disk {
  const nothing = async () => {};
  return {
    list: (folder) => disk.list(folder),
    read: (path) => disk.read(path),
    lock: (path) => disk.lock(path),
    makeFolder: nothing,
    rename: nothing,
    remove: nothing,
    syncFolder: nothing,
    async open(path) {
      const file = await disk.open(path);
      return {
        read: (position, length) => file.read(position, length),
        write: nothing,
        truncate: nothing,
        sync: nothing,
        [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
      };
    },
  };
}
