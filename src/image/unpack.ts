/**
 * Applies one layer to a folder of its own, in the form that overlayfs stacks: a whiteout becomes a character device 0:0, an opaque
 * whiteout the attribute `trusted.overlay.opaque`. Layers do not need each other: all of an image's unpack at the same time, each while
 * it downloads. No name in the archive reaches outside the folder. image-spec, layer.md
 */
import { createHash } from 'node:crypto';
import { closeSync, writeSync } from 'node:fs';
import type { Digest } from '#api-oci/digest.ts';
import { opaqueWhiteout, whiteoutPrefix } from '#api-oci/image-spec.ts';
import { nodeType, openRootedFolder, type RootedFolder } from '#host-linux/rooted-folder.ts';
import type { TarEntry, TarTime } from '#wire/tar/entry.ts';
import { TarReader } from '#wire/tar/reader.ts';
import { decompress } from './decompress.ts';
import { ContentError } from './error.ts';

export interface UnpackLimits {
  /** Bytes of the archive once decompressed. */
  readonly archiveBytesMax: number;
  readonly entriesMax: number;
}

export const defaultUnpackLimits: UnpackLimits = { archiveBytesMax: 64 * 2 ** 30, entriesMax: 4_000_000 };

export interface UnpackedLayer {
  /** Digest of the archive without compression. */
  readonly diffId: Digest;
  readonly bytes: number;
  readonly entries: number;
  /** Folders that the archive needed but did not describe: they take the attributes that lower layers give them. */
  readonly impliedFolders: readonly string[];
}

const idMax = 2 ** 32 - 2;

/** Unpacks `source` (compressed or not) into the empty folder `target`. Throws ContentError or TarError; then the folder is garbage. */
export async function unpackLayer(
  source: AsyncIterable<Uint8Array>,
  target: string,
  { limits = defaultUnpackLimits, signal }: { readonly limits?: UnpackLimits; readonly signal?: AbortSignal } = {},
): Promise<UnpackedLayer> {
  using folder = openRootedFolder(target);
  const layer = new Layer(folder);
  const hash = createHash('sha256');
  const reader = new TarReader();
  let bytes = 0;
  let entries = 0;
  let file: number | undefined;
  let current: TarEntry | undefined;
  try {
    for await (const piece of decompress(source)) {
      signal?.throwIfAborted();
      bytes += piece.length;
      if (bytes > limits.archiveBytesMax)
        throw new ContentError('OutOfRange', `layer is over ${limits.archiveBytesMax} bytes when decompressed`);
      hash.update(piece);
      reader.push(piece);
      for (let event = reader.next(); event !== undefined; event = reader.next())
        if (event.kind === 'entry') {
          if (++entries > limits.entriesMax)
            throw new ContentError('OutOfRange', `layer has more than ${limits.entriesMax} entries`);
          current = event.entry;
          file = layer.add(current);
        } else if (event.kind === 'data') {
          if (file !== undefined) writeAll(file, event.data);
        } else {
          if (file !== undefined) closeSync(file);
          file = undefined;
          layer.finish(current!);
        }
    }
    reader.finish();
    layer.finishFolders();
  } finally {
    if (file !== undefined) closeSync(file);
  }
  return { diffId: `sha256:${hash.digest('hex')}` as Digest, bytes, entries, impliedFolders: layer.impliedFolders };
}

class Layer {
  readonly #folder: RootedFolder;
  /** Set at the end: making what is inside changes them. */
  readonly #folderTimes = new Map<string, TarTime>();
  readonly #whiteouts = new Set<string>();
  readonly #implied = new Set<string>();
  /** What `finish` gives attributes to: undefined after whiteouts, hard links and skipped entries. */
  #made: string | undefined;

  constructor(folder: RootedFolder) {
    this.#folder = folder;
  }

  get impliedFolders(): string[] {
    return [...this.#implied];
  }

  /** Makes what an entry describes; for a file gives the descriptor its data goes to. */
  add(entry: TarEntry): number | undefined {
    this.#made = undefined;
    if (entry.uid > idMax || entry.gid > idMax)
      throw new ContentError('InvalidArgument', `${entry.name}: owner ${entry.uid}:${entry.gid} is out of range`);
    const path = cleanPath(entry.name);
    const slash = path.lastIndexOf('/');
    const base = path.slice(slash + 1);
    const parent = path.slice(0, Math.max(slash, 0));
    if (path === '') {
      if (entry.type === 'directory') this.#made = path;
      return undefined;
    }
    this.#makeParents(parent);
    if (base.startsWith(whiteoutPrefix)) {
      this.#whiteout(parent, base);
      return undefined;
    }
    const hidden = this.#makeRoom(path, entry);
    const file = this.#make(path, entry);
    if (hidden && entry.type === 'directory') this.#makeOpaque(path);
    this.#implied.delete(path);
    return file;
  }

  /** After the entry's data: owner, mode, attributes and times, in the order in which one does not undo another. */
  finish(entry: TarEntry): void {
    const path = this.#made;
    if (path === undefined) return;
    this.#folder.setOwner(path, entry.uid, entry.gid);
    if (entry.type !== 'symlink') this.#folder.setMode(path, entry.mode);
    for (const [name, value] of entry.xattrs) this.#setXattr(path, name, value);
    if (entry.type === 'directory') this.#folderTimes.set(path, entry.mtime);
    else this.#folder.setTime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
  }

  finishFolders(): void {
    for (const [path, time] of this.#folderTimes)
      if (this.#folder.stat(path)?.isDirectory() === true) this.#folder.setTime(path, time.seconds, time.nanoseconds);
  }

  #make(path: string, entry: TarEntry): number | undefined {
    switch (entry.type) {
      case 'directory':
        if (this.#folder.stat(path) === undefined) this.#folder.makeFolder(path);
        break;
      case 'file': {
        const file = this.#folder.createFile(path);
        this.#made = path;
        return file;
      }
      case 'symlink':
        this.#folder.makeSymlink(path, entry.linkName);
        break;
      case 'link':
        // Owner, mode and times are those of the file that has another name now.
        this.#folder.makeHardLink(path, cleanPath(entry.linkName));
        return undefined;
      case 'character':
      case 'block':
      case 'fifo':
        this.#folder.makeNode(path, nodeType[entry.type], entry.major, entry.minor);
    }
    this.#made = path;
    return undefined;
  }

  /** Takes away what an entry replaces. True: the lower layers' entry of that name was hidden, and has to stay hidden. */
  #makeRoom(path: string, entry: TarEntry): boolean {
    const present = this.#folder.stat(path);
    if (present === undefined || (present.isDirectory() && entry.type === 'directory')) return false;
    this.#folder.remove(path);
    return this.#whiteouts.delete(path) || !present.isDirectory();
  }

  #makeParents(path: string): void {
    if (path === '' || this.#folder.isFolder(path)) return;
    const slash = path.lastIndexOf('/');
    this.#makeParents(path.slice(0, Math.max(slash, 0)));
    const present = this.#folder.stat(path);
    if (present !== undefined) {
      if (!this.#whiteouts.delete(path))
        throw new ContentError('InvalidArgument', `${path} is a folder and something else in one layer`);
      this.#folder.remove(path);
    }
    this.#folder.makeFolder(path);
    if (present !== undefined) this.#makeOpaque(path);
    this.#implied.add(path);
  }

  #whiteout(parent: string, base: string): void {
    if (base === opaqueWhiteout) {
      this.#makeOpaque(parent);
      return;
    }
    // Docker's aufs left bookkeeping of its own under this prefix.
    if (base.startsWith(whiteoutPrefix + whiteoutPrefix)) return;
    const name = base.slice(whiteoutPrefix.length);
    if (name === '' || name === '.' || name === '..')
      throw new ContentError('InvalidArgument', `invalid whiteout ${JSON.stringify(base)}`);
    const path = parent === '' ? name : `${parent}/${name}`;
    const present = this.#folder.stat(path);
    // A whiteout speaks of lower layers only: what this layer made stays, alone.
    if (present === undefined) {
      this.#folder.makeNode(path, nodeType.character, 0, 0);
      this.#whiteouts.add(path);
    } else if (present.isDirectory()) this.#makeOpaque(path);
  }

  #makeOpaque(path: string): void {
    this.#folder.setXattr(path, 'trusted.overlay.opaque', Buffer.from('y'));
  }

  #setXattr(path: string, name: string, value: Uint8Array): void {
    // These would change how the stacked layers look, which is for whiteouts alone to say.
    if (name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.')) return;
    try {
      this.#folder.setXattr(path, name, value);
    } catch (error) {
      // A file system or kernel without this kind of attribute, or one that only the host's administrator may set.
      const { code } = error as { code?: string };
      if (code !== 'EOPNOTSUPP' && code !== 'ENOTSUP' && code !== 'EPERM') throw error;
    }
  }
}

/** Without `.`, `..` (which stops at the root) and empty components. */
function cleanPath(name: string): string {
  const parts: string[] = [];
  for (const part of name.split('/'))
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  return parts.join('/');
}

function writeAll(file: number, data: Uint8Array): void {
  for (let at = 0; at < data.length; ) at += writeSync(file, data, at);
}
