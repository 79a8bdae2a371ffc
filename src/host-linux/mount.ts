/**
 * mount(2) and umount2(2) in the daemon's own mount namespace, for file systems of this machine: they return without waiting for
 * anybody. Flags are given as option words, as in fstab(5).
 */
import koffi from 'koffi';
import { SystemError } from './rooted-folder.ts';

const flagWords: Readonly<Record<string, number>> = {
  ro: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  remount: 0x20,
  noatime: 0x400,
  bind: 0x1000,
  rbind: 0x5000,
  private: 0x40000,
  rprivate: 0x44000,
  slave: 0x80000,
  rslave: 0x84000,
  shared: 0x100000,
  rshared: 0x104000,
};
const MS_BIND = 0x1000;
const MS_REMOUNT = 0x20;
const MS_RDONLY = 0x1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** A mount to make, as snapshotters and the runtime specification describe it. */
export interface MountRequest {
  readonly type: string;
  readonly source: string;
  /** Flag words and, for everything else, the file system's own options. */
  readonly options: readonly string[];
}

/** Throws SystemError. The data of `options` must fit in a page (4095 bytes), or E2BIG comes back. */
export function mount(request: MountRequest, target: string): void {
  const call = koffi.load('libc.so.6').func('int mount(const char *, const char *, const char *, ulong, const char *)');
  let flags = 0;
  const data: string[] = [];
  for (const option of request.options) {
    const flag = flagWords[option];
    if (flag === undefined) {
      if (option !== 'rw' && option !== 'defaults') data.push(option);
    } else flags |= flag;
  }
  const text = data.join(',');
  if (text.length > 4095) throw new SystemError('mount', target, koffi.os.errno['E2BIG']);
  if (call(request.source, target, request.type, flags, text) !== 0) throw new SystemError('mount', target);
  // A bind mount takes over the source's flags; read-only takes a second call.
  if ((flags & MS_BIND) !== 0 && (flags & MS_RDONLY) !== 0)
    if (call('none', target, '', flags | MS_REMOUNT, '') !== 0) throw new SystemError('mount', target);
}

/** Takes a mount off the tree at once; what still uses it keeps it until it lets go. Nothing mounted there is fine. */
export function unmount(target: string): void {
  const call = koffi.load('libc.so.6').func('int umount2(const char *, int)');
  if (call(target, MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return;
  const errno = koffi.errno();
  if (errno !== koffi.os.errno['EINVAL'] && errno !== koffi.os.errno['ENOENT'])
    throw new SystemError('umount2', target, errno);
}
