/**
 * The files of a hollow node, in memory: volumes and logs of its pods, and the folders that every Linux machine has, so that host paths are there.
 * Nothing here waits for anything, so that what happens on a virtual clock happens in one order. Links are followed as a kernel does.
 */
import type { NodeFiles } from '#host/node-files.ts';
import type { Clock } from '#std/clock.ts';

interface File {
  readonly kind: 'file';
  bytes: Buffer;
  mode: number;
}
interface Folder {
  readonly kind: 'folder';
  readonly entries: Map<string, Entry>;
  mode: number;
}
interface Link {
  readonly kind: 'link';
  readonly target: string;
}
type Entry = File | Folder | Link;

/** A log that has grown to this is begun anew, as a runtime rotates it. */
const logBytesMax = 1 << 20;
const linksMax = 40;
const machineFolders = ['/dev', '/etc', '/lib/modules', '/proc', '/run', '/sys', '/tmp', '/var/lib', '/var/log'];

export class MemoryFiles implements NodeFiles {
  readonly #clock: Clock;
  readonly #root: Folder = { kind: 'folder', entries: new Map(), mode: 0o755 };
  /** Told when the file at a path changes. */
  readonly #readers = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
    for (const path of machineFolders) this.#folder(path);
  }

  /** Adds to a file, which is made when missing. */
  append(path: string, text: string): void {
    const { folder, name } = this.#placeOf(path);
    const bytes = Buffer.from(text);
    const file = folder.entries.get(name);
    if (file?.kind === 'file' && file.bytes.length + bytes.length <= logBytesMax)
      file.bytes = Buffer.concat([file.bytes, bytes]);
    else folder.entries.set(name, { kind: 'file', bytes, mode: 0o644 });
    for (const changed of [...(this.#readers.get(path) ?? [])]) changed();
  }

  kindOf: NodeFiles['kindOf'] = async (path) => this.#find(path, false)?.kind;

  listFolder: NodeFiles['listFolder'] = async (path) => {
    const folder = this.#find(path);
    return folder?.kind === 'folder' ? [...folder.entries.keys()].sort() : [];
  };

  makeFolder: NodeFiles['makeFolder'] = async (path, mode = 0o755) => {
    if (this.#find(path) === undefined) this.#folder(path).mode = mode;
  };

  readIfThere: NodeFiles['readIfThere'] = async (path) => {
    const file = this.#find(path);
    return file?.kind === 'file' ? file.bytes : undefined;
  };

  readLinkIfThere: NodeFiles['readLinkIfThere'] = async (path) => {
    const link = this.#find(path, false);
    return link?.kind === 'link' ? link.target : undefined;
  };

  realPath: NodeFiles['realPath'] = async (path) => this.#look(path, true)?.path;

  replaceFile: NodeFiles['replaceFile'] = async (path, content, { mode = 0o644 } = {}) => {
    const { folder, name } = this.#placeOf(path);
    folder.entries.set(name, { kind: 'file', bytes: Buffer.from(content as Uint8Array), mode });
  };

  replaceLink: NodeFiles['replaceLink'] = async (path, target) => {
    const { folder, name } = this.#placeOf(path);
    folder.entries.set(name, { kind: 'link', target });
  };

  removeTree: NodeFiles['removeTree'] = async (path) => {
    const slash = path.lastIndexOf('/');
    const folder = this.#find(path.slice(0, slash));
    if (folder?.kind === 'folder') folder.entries.delete(path.slice(slash + 1));
  };

  setMode: NodeFiles['setMode'] = async (path, mode) => {
    const entry = this.#find(path);
    if (entry === undefined || entry.kind === 'link') throw missing(path);
    entry.mode = mode;
  };

  /** Nobody here is anybody: owners are not kept. */
  setOwner: NodeFiles['setOwner'] = async (path) => {
    if (this.#find(path) === undefined) throw missing(path);
  };

  openTail: NodeFiles['openTail'] = async (path) => {
    let file = this.#file(path);
    return {
      size: async () => file.bytes.length,
      read: async (offset, length) => file.bytes.subarray(offset, offset + length),
      changed: (timeoutMs, signal) => this.#changed(path, timeoutMs, signal),
      replaced: async () => {
        const now = this.#find(path);
        return now?.kind === 'file' && now !== file;
      },
      reopen: async () => {
        file = this.#file(path);
      },
      async [Symbol.asyncDispose]() {},
    };
  };

  #changed(path: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const readers = this.#readers.get(path) ?? new Set();
    this.#readers.set(path, readers);
    const finish = () => {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', finish);
      readers.delete(finish);
      if (readers.size === 0) this.#readers.delete(path);
      resolve();
    };
    const timer = this.#clock.after(timeoutMs, finish);
    readers.add(finish);
    signal.addEventListener('abort', finish, { once: true });
    return promise;
  }

  #file(path: string): File {
    const file = this.#find(path);
    if (file?.kind !== 'file') throw missing(path);
    return file;
  }

  #find(path: string, follow = true): Entry | undefined {
    return this.#look(path, follow)?.entry;
  }

  /** What stands at a path, and its path without links. @param follow whether a link at its end is followed */
  #look(path: string, follow: boolean): { readonly entry: Entry; readonly path: string } | undefined {
    let names = partsOf(path);
    const way: { readonly name: string; readonly folder: Folder }[] = [{ name: '', folder: this.#root }];
    const found = (entry: Entry, ...last: string[]) => ({
      entry,
      path: `/${[...way.slice(1).map(({ name }) => name), ...last].join('/')}`,
    });
    for (let links = 0; ; ) {
      const { folder } = way.at(-1)!;
      const name = names.shift();
      if (name === undefined) return found(folder);
      if (name === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      const entry = folder.entries.get(name);
      if (entry?.kind === 'folder') way.push({ name, folder: entry });
      else if (entry?.kind === 'link' && (follow || names.length > 0)) {
        if (++links > linksMax) return undefined;
        if (entry.target.startsWith('/')) way.length = 1;
        names = [...partsOf(entry.target), ...names];
      } else return entry === undefined || names.length > 0 ? undefined : found(entry, name);
    }
  }

  /** The folder that a path's last name stands in, made when missing. */
  #placeOf(path: string): { readonly folder: Folder; readonly name: string } {
    const slash = path.lastIndexOf('/');
    return { folder: this.#folder(path.slice(0, slash)), name: path.slice(slash + 1) };
  }

  #folder(path: string): Folder {
    const found = this.#find(path);
    if (found?.kind === 'folder') return found;
    if (found !== undefined) throw Object.assign(new Error(`ENOTDIR: not a directory, '${path}'`), { code: 'ENOTDIR' });
    const { folder, name } = this.#placeOf(path);
    const made: Folder = { kind: 'folder', entries: new Map(), mode: 0o755 };
    folder.entries.set(name, made);
    return made;
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, '${path}'`), { code: 'ENOENT', path });
}
