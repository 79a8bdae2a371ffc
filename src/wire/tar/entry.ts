/**
 * What a tar archive holds, as values. It knows nothing of file systems or image layers.
 * Formats: POSIX ustar and pax (IEEE Std 1003.1, pax), GNU tar's long names and base-256 numbers. Sparse files are refused.
 */

export type TarEntryType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface TarEntry {
  /** As written, UTF-8; may be absolute, climb with `..` or end in a slash: whoever extracts must judge it. */
  readonly name: string;
  readonly type: TarEntryType;
  /** The low twelve bits: permissions, set-uid, set-gid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Bytes of data that follow; 0 for everything but `file`. */
  readonly size: number;
  readonly mtime: TarTime;
  /** Target of `link` and `symlink`, otherwise empty. */
  readonly linkName: string;
  /** Device numbers of `character` and `block`, otherwise 0. */
  readonly major: number;
  readonly minor: number;
  /** Extended attributes by full name (pax `SCHILY.xattr.*`). */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

export interface TarTime {
  /** Since 1970; may be negative. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanoseconds: number;
}

/** Bytes that are no tar archive, use a feature that is refused, or exceed a limit. */
export class TarError extends Error {
  override readonly name = 'TarError';
}

export const blockBytes = 512;

/** An entry with zero values, overridden by `init`. */
export function tarEntry(init: Partial<TarEntry> & { readonly name: string }): TarEntry {
  return {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    userName: '',
    groupName: '',
    size: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    linkName: '',
    major: 0,
    minor: 0,
    xattrs: new Map(),
    ...init,
  };
}
