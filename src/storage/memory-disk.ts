/**
 * A disk in memory, that can lose what was not synced: for clusters that leave nothing behind, and for tests of what a crash leaves.
 * Names are durable at once; only bytes wait for `sync`.
 */
import type { Disk, DiskFile } from '#host/disk.ts';

interface Content {
  /** What was written; zeros follow up to `size`. */
  bytes: Buffer;
  size: number;
  /** How to take back what was not synced, latest last. */
  unsynced: { readonly position: number; readonly before: Buffer; readonly sizeBefore: number }[];
}

export class MemoryDisk implements Disk {
  readonly #files = new Map<string, Content>();

  /** What would be there after the power went: bytes that were never synced are gone. */
  afterCrash(): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [path, content] of this.#files) {
      const bytes = Buffer.from(content.bytes);
      let { size } = content;
      for (const { position, before, sizeBefore } of content.unsynced.toReversed()) {
        before.copy(bytes, position);
        size = sizeBefore;
      }
      disk.#files.set(path, { bytes, size, unsynced: [] });
    }
    return disk;
  }

  async list(folder: string): Promise<string[]> {
    const prefix = `${folder}/`;
    const names = new Set<string>();
    for (const path of this.#files.keys())
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split('/')[0]!);
    return [...names].sort();
  }

  async read(path: string): Promise<Buffer | undefined> {
    const content = this.#files.get(path);
    if (content === undefined) return undefined;
    const whole = Buffer.alloc(content.size);
    content.bytes.copy(whole, 0, 0, content.size);
    return whole;
  }

  async makeFolder(): Promise<void> {}

  async rename(source: string, target: string): Promise<void> {
    const content = this.#files.get(source);
    if (content === undefined) throw Object.assign(new Error(`ENOENT: ${source}`), { code: 'ENOENT', path: source });
    this.#files.delete(source);
    this.#files.set(target, content);
  }

  async remove(path: string): Promise<void> {
    for (const each of [...this.#files.keys()])
      if (each === path || each.startsWith(`${path}/`)) this.#files.delete(each);
  }

  async syncFolder(): Promise<void> {}

  async open(path: string): Promise<DiskFile> {
    let content = this.#files.get(path);
    if (content === undefined) {
      content = { bytes: Buffer.alloc(0), size: 0, unsynced: [] };
      this.#files.set(path, content);
    }
    const file = content;
    /** Room for bytes up to `end`. */
    const reach = (end: number) => {
      if (file.bytes.length >= end) return;
      const grown = Buffer.alloc(Math.max(end, file.bytes.length * 2));
      file.bytes.copy(grown);
      file.bytes = grown;
    };
    const remember = (position: number, end: number) =>
      file.unsynced.push({ position, before: Buffer.from(file.bytes.subarray(position, end)), sizeBefore: file.size });
    return {
      async write(bytes, position) {
        const end = position + bytes.length;
        reach(end);
        remember(position, end);
        file.bytes.set(bytes, position);
        file.size = Math.max(file.size, end);
      },
      async truncate(size) {
        const { length } = file.bytes;
        remember(Math.min(size, length), length);
        if (size < length) file.bytes.fill(0, size);
        file.size = size;
      },
      async sync() {
        file.unsynced = [];
      },
      async [Symbol.asyncDispose]() {},
    };
  }
}
