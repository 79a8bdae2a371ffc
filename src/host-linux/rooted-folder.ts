/**
 * A folder as a root of its own: every path is resolved inside it, symbolic links included (openat2(2) with RESOLVE_IN_ROOT),
 * so that no name an archive brings can reach outside. The last component is never followed. Calls are synchronous: they touch
 * metadata and the page cache of a local file system, and return in microseconds. Errors are Node's own, or {@link SystemError}.
 */
import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  type Stats,
  symlinkSync,
} from 'node:fs';
import koffi from 'koffi';

const openat2Number = 437;
const O_PATH = 0o10000000;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_IN_ROOT = 0x10n;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const openFoldersMax = 32;

export const nodeType = { character: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

/** The kernel's refusal of a call that Node does not offer. `code` is the errno's name, as in Node's errors. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;

  constructor(call: string, path: string, errno = koffi.errno()) {
    const code = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
    super(`${code}: ${call} '${path}'`);
    this.code = code;
  }
}

export interface RootedFolder extends Disposable {
  /** What is at a path, not following it; undefined for nothing. */
  stat(path: string): Stats | undefined;
  /** Whether a path, followed inside the root, is a folder. */
  isFolder(path: string): boolean;
  makeFolder(path: string): void;
  makeSymlink(path: string, target: string): void;
  /** Another name for `existing`, itself never followed. */
  makeHardLink(path: string, existing: string): void;
  makeNode(path: string, type: number, major: number, minor: number): void;
  /** Makes a file that was not there; returns its descriptor, which the caller closes. */
  createFile(path: string): number;
  /** Opens a regular file for reading; the caller closes it. Follows links inside the root. */
  openFile(path: string): number;
  /** Removes a whole tree without following links; nothing there is fine. */
  remove(path: string): void;
  setOwner(path: string, uid: number, gid: number): void;
  /** Not for symbolic links: those have no mode. */
  setMode(path: string, mode: number): void;
  /** Both access and modification time. */
  setTime(path: string, seconds: number, nanoseconds: number): void;
  setXattr(path: string, name: string, value: Uint8Array): void;
}

export function openRootedFolder(root: string): RootedFolder {
  const libc = koffi.load('libc.so.6');
  const syscall = libc.func('long syscall(long, int, const char *, const void *, size_t)');
  const mknod = libc.func('int mknod(const char *, uint32_t, uint64_t)');
  const lsetxattr = libc.func('int lsetxattr(const char *, const char *, const void *, size_t, int)');
  const utimensat = libc.func('int utimensat(int, const char *, const void *, int)');

  const rootFd = openSync(root, O_PATH | constants.O_DIRECTORY);
  /** Folders that were used last, by path; an archive lists a folder's files one after the other. */
  const folders = new Map<string, number>();
  const how = Buffer.alloc(24);

  function resolve(path: string, flags: number): number {
    how.writeBigUInt64LE(BigInt(flags | 0o2000000), 0);
    how.writeBigUInt64LE(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, 16);
    const fd = Number(syscall(openat2Number, rootFd, path === '' ? '.' : path, how, how.length));
    if (fd < 0) throw new SystemError('openat2', path);
    return fd;
  }

  function folder(path: string): number {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const fd = resolve(path, O_PATH | constants.O_DIRECTORY);
    if (folders.size >= openFoldersMax) forget();
    folders.set(path, fd);
    return fd;
  }

  function forget(): void {
    for (const fd of folders.values()) closeSync(fd);
    folders.clear();
  }

  /** A path that names the last component inside its resolved folder, whatever happens to the folders above. */
  function at(path: string): string {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    const last = parts.pop();
    if (last === undefined) return `/proc/self/fd/${rootFd}/.`;
    if (last === '..') throw new SystemError('resolve', path, koffi.os.errno['EINVAL']);
    return `/proc/self/fd/${folder(parts.join('/'))}/${last}`;
  }

  return {
    stat(path) {
      try {
        return lstatSync(at(path), { throwIfNoEntry: false });
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
        throw error;
      }
    },
    isFolder(path) {
      try {
        folder(path);
        return true;
      } catch (error) {
        const { code } = error as SystemError;
        if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return false;
        throw error;
      }
    },
    makeFolder: (path) => mkdirSync(at(path), 0o755),
    makeSymlink: (path, target) => symlinkSync(target, at(path)),
    makeHardLink: (path, existing) => linkSync(at(existing), at(path)),
    makeNode(path, type, major, minor) {
      const device =
        (BigInt(major & 0xfff) << 8n) |
        BigInt(minor & 0xff) |
        (BigInt(minor & ~0xff) << 12n) |
        (BigInt(major & ~0xfff) << 32n);
      if (mknod(at(path), type | 0o600, device) !== 0) throw new SystemError('mknod', path);
    },
    createFile: (path) =>
      openSync(at(path), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600),
    openFile: (path) => resolve(path, constants.O_RDONLY | constants.O_NONBLOCK),
    remove(path) {
      forget();
      rmSync(at(path), { recursive: true, force: true });
    },
    setOwner: (path, uid, gid) => lchownSync(at(path), uid, gid),
    setMode: (path, mode) => chmodSync(at(path), mode),
    setTime(path, seconds, nanoseconds) {
      const times = Buffer.alloc(32);
      for (const offset of [0, 16]) {
        times.writeBigInt64LE(BigInt(seconds), offset);
        times.writeBigInt64LE(BigInt(nanoseconds), offset + 8);
      }
      if (utimensat(AT_FDCWD, at(path), times, AT_SYMLINK_NOFOLLOW) !== 0) throw new SystemError('utimensat', path);
    },
    setXattr(path, name, value) {
      if (lsetxattr(at(path), name, value, value.length, 0) !== 0) throw new SystemError('lsetxattr', path);
    },
    [Symbol.dispose]() {
      forget();
      closeSync(rootFd);
    },
  };
}
