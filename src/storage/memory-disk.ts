/**
 * A disk in memory, that can lose what was not synced: for clusters that leave nothing behind, and for tests of what a crash leaves.
 * Names are durable at once; only bytes wait for `sync`.
 */
import type { Disk, DiskFile } from '#host/disk.ts';

interface Content {
  bytes: Buffer;
  /** What a crash leaves. */
  durable: Buffer;
}

export class MemoryDisk implements Disk {
  readonly #files = new Map<string, Content>();

  /** What would be there after the power went: bytes that were never synced are gone. */
  afterCrash(): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [path, { durable }] of this.#files)
      disk.#files.set(path, { bytes: Buffer.from(durable), durable: Buffer.from(durable) });
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
    return content === undefined ? undefined : Buffer.from(content.bytes);
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
      content = { bytes: Buffer.alloc(0), durable: Buffer.alloc(0) };
      this.#files.set(path, content);
    }
    const file = content;
    const resize = (size: number) => {
      const resized = Buffer.alloc(size);
      file.bytes.copy(resized);
      file.bytes = resized;
    };
    return {
      async write(bytes, position) {
        if (file.bytes.length < position + bytes.length) resize(position + bytes.length);
        file.bytes.set(bytes, position);
      },
      truncate: async (size) => resize(size),
      async sync() {
        file.durable = Buffer.from(file.bytes);
      },
      async [Symbol.asyncDispose]() {},
    };
  }
}
