/**
 * Mount options of the runtime specification (config.md, "Linux mount options"): words that are flags, words that are
 * attributes of a tree, propagation, and the rest, which is the file system's own.
 */
import type { Mount } from '#api-oci/runtime-spec.ts';
import { MountAttr, MS } from './flags.ts';

/** Words that set or clear flags of mount(2). */
const flagWords: Readonly<Record<string, { readonly flag: bigint; readonly clear?: true }>> = {
  async: { flag: MS.SYNCHRONOUS, clear: true },
  atime: { flag: MS.NOATIME, clear: true },
  bind: { flag: MS.BIND },
  defaults: { flag: 0n },
  dev: { flag: MS.NODEV, clear: true },
  diratime: { flag: MS.NODIRATIME, clear: true },
  dirsync: { flag: MS.DIRSYNC },
  exec: { flag: MS.NOEXEC, clear: true },
  iversion: { flag: MS.I_VERSION },
  lazytime: { flag: MS.LAZYTIME },
  loud: { flag: MS.SILENT, clear: true },
  mand: { flag: MS.MANDLOCK },
  noatime: { flag: MS.NOATIME },
  nodev: { flag: MS.NODEV },
  nodiratime: { flag: MS.NODIRATIME },
  noexec: { flag: MS.NOEXEC },
  noiversion: { flag: MS.I_VERSION, clear: true },
  nolazytime: { flag: MS.LAZYTIME, clear: true },
  nomand: { flag: MS.MANDLOCK, clear: true },
  norelatime: { flag: MS.RELATIME, clear: true },
  nostrictatime: { flag: MS.STRICTATIME, clear: true },
  nosuid: { flag: MS.NOSUID },
  nosymfollow: { flag: MS.NOSYMFOLLOW },
  rbind: { flag: MS.BIND | MS.REC },
  relatime: { flag: MS.RELATIME },
  remount: { flag: MS.REMOUNT },
  ro: { flag: MS.RDONLY },
  rw: { flag: MS.RDONLY, clear: true },
  silent: { flag: MS.SILENT },
  strictatime: { flag: MS.STRICTATIME },
  suid: { flag: MS.NOSUID, clear: true },
  symfollow: { flag: MS.NOSYMFOLLOW, clear: true },
  sync: { flag: MS.SYNCHRONOUS },
};

const propagationWords: Readonly<Record<string, bigint>> = {
  private: MS.PRIVATE,
  shared: MS.SHARED,
  slave: MS.SLAVE,
  unbindable: MS.UNBINDABLE,
  rprivate: MS.PRIVATE | MS.REC,
  rshared: MS.SHARED | MS.REC,
  rslave: MS.SLAVE | MS.REC,
  runbindable: MS.UNBINDABLE | MS.REC,
};

/** Words for a whole tree, by mount_setattr(2) with AT_RECURSIVE. */
const recursiveWords: Readonly<Record<string, { readonly set?: bigint; readonly clear?: bigint }>> = {
  rro: { set: MountAttr.RDONLY },
  rrw: { clear: MountAttr.RDONLY },
  rnosuid: { set: MountAttr.NOSUID },
  rsuid: { clear: MountAttr.NOSUID },
  rnodev: { set: MountAttr.NODEV },
  rdev: { clear: MountAttr.NODEV },
  rnoexec: { set: MountAttr.NOEXEC },
  rexec: { clear: MountAttr.NOEXEC },
  rnodiratime: { set: MountAttr.NODIRATIME },
  rdiratime: { clear: MountAttr.NODIRATIME },
  rrelatime: { clear: MountAttr.ATIME },
  rnorelatime: { set: MountAttr.STRICTATIME, clear: MountAttr.ATIME },
  rnoatime: { set: MountAttr.NOATIME, clear: MountAttr.ATIME },
  ratime: { clear: MountAttr.ATIME },
  rstrictatime: { set: MountAttr.STRICTATIME, clear: MountAttr.ATIME },
  rnostrictatime: { clear: MountAttr.ATIME },
  rnosymfollow: { set: MountAttr.NOSYMFOLLOW },
  rsymfollow: { clear: MountAttr.NOSYMFOLLOW },
};

/** Flags of mount(2) as attributes of mount_setattr(2), for bind mounts. */
const attributeOfFlag: readonly (readonly [flag: bigint, attribute: bigint])[] = [
  [MS.RDONLY, MountAttr.RDONLY],
  [MS.NOSUID, MountAttr.NOSUID],
  [MS.NODEV, MountAttr.NODEV],
  [MS.NOEXEC, MountAttr.NOEXEC],
  [MS.NODIRATIME, MountAttr.NODIRATIME],
  [MS.NOSYMFOLLOW, MountAttr.NOSYMFOLLOW],
];

/** All words known here, for `features`. */
export const mountOptionWords: readonly string[] = [
  ...Object.keys(flagWords),
  ...Object.keys(propagationWords),
  ...Object.keys(recursiveWords),
  'idmap',
  'ridmap',
  'tmpcopyup',
].sort();

export interface ParsedMountOptions {
  readonly flags: bigint;
  /** Flags that were cleared explicitly. */
  readonly cleared: bigint;
  readonly propagations: readonly bigint[];
  readonly recursiveSet: bigint;
  readonly recursiveClear: bigint;
  readonly copyUp: boolean;
  readonly idmap: 'no' | 'one' | 'tree';
  /** What the file system itself is told. */
  readonly data: string;
}

export function parseMountOptions(mount: Mount): ParsedMountOptions {
  let flags = 0n;
  let cleared = 0n;
  let recursiveSet = 0n;
  let recursiveClear = 0n;
  let copyUp = false;
  let idmap: ParsedMountOptions['idmap'] = mount.uidMappings === undefined ? 'no' : 'one';
  const propagations: bigint[] = [];
  const data: string[] = [];
  for (const option of mount.options ?? []) {
    const word = flagWords[option];
    const tree = recursiveWords[option];
    const propagation = propagationWords[option];
    if (word?.clear) {
      flags &= ~word.flag;
      cleared |= word.flag;
    } else if (word !== undefined) {
      flags |= word.flag;
      cleared &= ~word.flag;
    } else if (propagation !== undefined) propagations.push(propagation);
    else if (tree !== undefined) {
      recursiveSet = (recursiveSet & ~(tree.clear ?? 0n)) | (tree.set ?? 0n);
      recursiveClear = (recursiveClear & ~(tree.set ?? 0n)) | (tree.clear ?? 0n);
    } else if (option === 'tmpcopyup') copyUp = true;
    else if (option === 'idmap') idmap = 'one';
    else if (option === 'ridmap') idmap = 'tree';
    else data.push(option);
  }
  if (mount.type === 'bind' && (flags & MS.BIND) === 0n) flags |= MS.BIND;
  return { flags, cleared, propagations, recursiveSet, recursiveClear, copyUp, idmap, data: data.join(',') };
}

/** What of mount(2)'s flags a bind mount gets as attributes of its own. */
export function bindAttributes(options: ParsedMountOptions): { readonly set: bigint; readonly clear: bigint } {
  let set = 0n;
  let clear = 0n;
  for (const [flag, attribute] of attributeOfFlag) {
    if (options.flags & flag) set |= attribute;
    if (options.cleared & flag) clear |= attribute;
  }
  // The access-time modes are one field: setting one means clearing the others.
  if (options.flags & MS.NOATIME) [set, clear] = [set | MountAttr.NOATIME, clear | MountAttr.ATIME];
  else if (options.flags & MS.STRICTATIME) [set, clear] = [set | MountAttr.STRICTATIME, clear | MountAttr.ATIME];
  else if (options.flags & MS.RELATIME) clear |= MountAttr.ATIME;
  return { set, clear };
}
