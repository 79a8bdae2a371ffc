/**
 * A disk in memory, that can lose what was not synced: for clusters that leave nothing behind, and for tests of what a crash leaves.
 * Bytes wait for `sync` of their file, names (made, renamed, removed) for `syncFolder` of their folder.
 */
import type { Disk, DiskFile, OpenOptions } from '#host/disk.ts';
import { LockedError } from '#host/lock-file.ts';
import { below, type Prng } from '#std/prng.ts';

/** What reaches a disk whole or not at all. */
const sectorBytes = 512;

interface Content {
  /** What was written; zeros follow up to `size`. */
  bytes: Buffer;
  size: number;
  /** How to take back what was not synced, latest last. */
  unsynced: { readonly position: number; readonly before: Buffer; readonly sizeBefore: number }[];
}

/** A change of names that may be lost. */
interface NameChange {
  readonly folder: string;
  readonly undo: (files: Map<string, Content>) => void;
}

export class MemoryDisk implements Disk {
  readonly #files = new Map<string, Content>();
  /** In order; one folder's are lost from the end. */
  #unsyncedNames: NameChange[] = [];
  readonly #locks = new Set<string>();

  /**
   * What would be there after the power went. Without `prng` nothing that was not synced; with it, of each sector as many of its unsynced
   * writes, in order, and of the changes of names as many, in order, as chance has it.
   */
  afterCrash(prng?: Prng): MemoryDisk {
    const disk = new MemoryDisk();
    const files = new Map(this.#files);
    const names = this.#unsyncedNames;
    const kept = prng === undefined || names.length === 0 ? 0 : below(prng, names.length + 1);
    for (const { undo } of names.slice(kept).reverse()) undo(files);
    for (const [path, { bytes, size, unsynced }] of files) {
      const left = Buffer.from(bytes);
      const sectors = Math.ceil(left.length / sectorBytes);
      for (let sector = 0; sector < sectors; sector++) {
        const start = sector * sectorBytes;
        const end = start + sectorBytes;
        const touching = unsynced.filter(({ position, before }) => position < end && position + before.length > start);
        const reached = prng === undefined ? 0 : below(prng, touching.length + 1);
        for (const { position, before } of touching.slice(reached).reverse()) {
          const from = Math.max(start, position);
          before.copy(left, from, from - position, Math.min(end, position + before.length) - position);
        }
      }
      // Sizes are kept: the log's files have theirs from the start.
      disk.#files.set(path, {
        bytes: left,
        size: prng === undefined ? (unsynced[0]?.sizeBefore ?? size) : size,
        unsynced: [],
      });
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
    const replaced = this.#files.get(target);
    this.#files.delete(source);
    this.#files.set(target, content);
    this.#nameChanged(target, (files) => {
      files.set(source, content);
      if (replaced === undefined) files.delete(target);
      else files.set(target, replaced);
    });
  }

  async remove(path: string): Promise<void> {
    for (const [each, content] of [...this.#files])
      if (each === path || each.startsWith(`${path}/`)) {
        this.#files.delete(each);
        this.#nameChanged(each, (files) => files.set(each, content));
      }
  }

  async syncFolder(path: string): Promise<void> {
    this.#unsyncedNames = this.#unsyncedNames.filter(({ folder }) => folder !== path);
  }

  async lock(path: string): Promise<AsyncDisposable> {
    if (this.#locks.has(path)) throw new LockedError(`${path} is held`);
    this.#locks.add(path);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#locks.delete(path);
      },
    };
  }

  async open(path: string, options?: OpenOptions): Promise<DiskFile> {
    let content = this.#files.get(path);
    if (content === undefined) {
      content = { bytes: Buffer.alloc(0), size: 0, unsynced: [] };
      this.#files.set(path, content);
      this.#nameChanged(path, (files) => files.delete(path));
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
      async read(position, length) {
        const part = Buffer.alloc(Math.max(0, Math.min(length, file.size - position)));
        file.bytes.copy(part, 0, position, Math.min(file.size, position + part.length));
        return part;
      },
      async write(bytes, position) {
        const end = position + bytes.length;
        reach(end);
        remember(position, end);
        file.bytes.set(bytes, position);
        file.size = Math.max(file.size, end);
        if (options?.durable !== true) return;
        await undefined;
        file.unsynced = [];
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

  #nameChanged(path: string, undo: NameChange['undo']): void {
    this.#unsyncedNames.push({ folder: path.slice(0, path.lastIndexOf('/')), undo });
  }
}
