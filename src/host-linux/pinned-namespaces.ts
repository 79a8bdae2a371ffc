/**
 * New namespaces kept alive by bind mounts, as `ip netns` keeps network namespaces: a pod's shared namespaces need no process. The thread is
 * inside them for the length of one synchronous call only.
 */
import { closeSync, constants, openSync, rmSync, statfsSync } from 'node:fs';
import koffi from 'koffi';
import { mount, unmount } from './mount.ts';
import { SystemError } from './rooted-folder.ts';

const kinds = {
  network: { flag: 0x40000000, file: 'net' },
  ipc: { flag: 0x08000000, file: 'ipc' },
  uts: { flag: 0x04000000, file: 'uts' },
} as const;
const nsfsMagic = 0x6e736673;

export type PinnableNamespace = keyof typeof kinds;

/**
 * Makes the namespaces named in `paths` and pins each at its path, where nothing may be yet. `hostname` is set in a new UTS namespace.
 * An error leaves no trace.
 */
export function pinNewNamespaces(
  paths: Readonly<Partial<Record<PinnableNamespace, string>>>,
  { hostname }: { readonly hostname?: string } = {},
): void {
  const libc = koffi.load('libc.so.6');
  const unshare = libc.func('int unshare(int)');
  const setns = libc.func('int setns(int, int)');
  const sethostname = libc.func('int sethostname(const char *, size_t)');
  const wanted = (Object.keys(paths) as PinnableNamespace[]).map((kind) => ({
    ...kinds[kind],
    kind,
    path: paths[kind]!,
  }));
  let flags = 0;
  for (const { flag } of wanted) flags |= flag;
  const pinned: string[] = [];
  const homes = wanted.map(({ file, flag }) => ({
    fd: openSync(`/proc/thread-self/ns/${file}`, constants.O_RDONLY),
    flag,
  }));
  let failure: unknown;
  try {
    if (unshare(flags) !== 0) throw new SystemError('unshare', Object.values(paths).join(' '));
    for (const { path, file } of wanted) {
      closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o444));
      pinned.push(path);
      mount({ type: 'none', source: `/proc/thread-self/ns/${file}`, options: ['bind'] }, path);
    }
    if (paths.uts !== undefined && hostname !== undefined && sethostname(hostname, Buffer.byteLength(hostname)) !== 0)
      throw new SystemError('sethostname', hostname);
  } catch (error) {
    failure = error;
  }
  // Back home, whatever happened: a thread that stayed in a pod's namespaces would be worse than any error.
  for (const { fd, flag } of homes) {
    const failed = setns(fd, flag) !== 0;
    const errno = koffi.errno();
    closeSync(fd);
    if (failed) failure = new SystemError('setns', 'home', errno);
  }
  if (failure === undefined) return;
  for (const path of pinned) unpinNamespace(path);
  throw failure;
}

/** Lets go of a pinned namespace: it ends with its last process. Nothing there is fine. */
export function unpinNamespace(path: string): void {
  unmount(path);
  rmSync(path, { force: true });
}

/** Whether a namespace is pinned at `path`. After the machine restarted, only the file is left. */
export function isPinnedNamespace(path: string): boolean {
  try {
    return statfsSync(path).type === nsfsMagic;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
