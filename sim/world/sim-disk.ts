/**
 * The disk of one run of a member: syncs take their time, or stand still; it may be full, or broken; and after the process was killed nothing reaches it any more.
 * What it holds is a {@link MemoryDisk}, which knows what was synced.
 */
import type { Disk, DiskFile, OpenOptions } from '#host/disk.ts';
import type { MemoryDisk } from '#storage/memory-disk.ts';
import type { MemberClock } from './member-clock.ts';
import type { World } from './world.ts';

export class SimDisk implements Disk {
  readonly content: MemoryDisk;
  readonly #world: World;
  readonly #clock: MemberClock;
  #stalledUntilMs = 0;
  #full = false;

  constructor(content: MemoryDisk, world: World, clock: MemberClock) {
    this.content = content;
    this.#world = world;
    this.#clock = clock;
  }

  /** Syncs that begin from now on do not end before. */
  stallFor(ms: number): void {
    this.#stalledUntilMs = this.#world.monotonicMs() + ms;
  }

  set full(full: boolean) {
    this.#full = full;
  }

  list(folder: string): Promise<string[]> {
    return this.#alive(() => this.content.list(folder));
  }

  read(path: string): Promise<Buffer | undefined> {
    return this.#alive(() => this.content.read(path));
  }

  makeFolder(): Promise<void> {
    return this.#alive(() => this.content.makeFolder());
  }

  rename(source: string, target: string): Promise<void> {
    return this.#alive(() => this.content.rename(source, target));
  }

  remove(path: string): Promise<void> {
    return this.#alive(() => this.content.remove(path));
  }

  lock(path: string): Promise<AsyncDisposable> {
    return this.#alive(() => this.content.lock(path));
  }

  async syncFolder(path: string): Promise<void> {
    await this.#syncTime();
    return this.#alive(() => this.content.syncFolder(path));
  }

  async open(path: string, options?: OpenOptions): Promise<DiskFile> {
    // Never as durable: a crash may come when some of a write has reached the disk.
    const file = await this.#alive(() => this.content.open(path));
    const sync = async () => {
      await this.#syncTime();
      return this.#alive(() => file.sync());
    };
    return {
      read: (position, length) => this.#alive(() => file.read(position, length)),
      write: async (bytes, position) => {
        if (this.#full) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC', path });
        await this.#alive(() => file.write(bytes, position));
        if (options?.durable === true) await sync();
      },
      truncate: (size) => this.#alive(() => file.truncate(size)),
      sync,
      [Symbol.asyncDispose]: () => this.#alive(async () => file[Symbol.asyncDispose]()),
    };
  }

  #syncTime(): Promise<void> {
    const stallMs = Math.max(0, this.#stalledUntilMs - this.#world.monotonicMs());
    const syncMs = stallMs + this.#world.between(1, 8) / 8;
    return new Promise((resolve) => void this.#clock.after(syncMs, resolve));
  }

  /** What a killed process was waiting for never comes. */
  #alive<T>(work: () => Promise<T>): Promise<T> {
    return this.#clock.alive ? work() : new Promise(() => {});
  }
}
