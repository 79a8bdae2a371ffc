/**
 * Snapshots: layered folders that containers mount as their root. A snapshot is `active` (being written), a `view` (read only), or
 * `committed` (a parent for others). This file is the interface and its errors; who keeps the files stands beside it.
 * Semantics and texts are containerd's (core/snapshots).
 */
import type { DiskUsage } from '#host/disk-usage.ts';
import type { MountRequest } from '#host-linux/mount.ts';

export type SnapshotKind = 'active' | 'view' | 'committed';

export interface SnapshotInfo {
  readonly kind: SnapshotKind;
  /** The key of an active snapshot or view, the name of a committed one. */
  readonly name: string;
  /** Empty for a bottom layer. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface SnapshotOptions {
  readonly labels?: Readonly<Record<string, string>>;
}

/** Everything throws {@link SnapshotError}, or Node's own errors for a disk that fails. */
export interface Snapshotter {
  stat(name: string): SnapshotInfo;
  /** Merges labels; an empty value removes one. */
  update(name: string, labels: Readonly<Record<string, string>>): Promise<SnapshotInfo>;
  /** What the snapshot takes on its own, without its parents. */
  usage(name: string): Promise<DiskUsage>;
  /** How to mount an active snapshot or view; at most one mount for each call's caller at a time for an active one. */
  mounts(key: string): readonly MountRequest[];
  /** A writable snapshot on `parent` (empty for none). */
  prepare(key: string, parent: string, options?: SnapshotOptions): Promise<readonly MountRequest[]>;
  /** A read-only look at `parent`. */
  view(key: string, parent: string, options?: SnapshotOptions): Promise<readonly MountRequest[]>;
  /**
   * Turns the active snapshot `key` into the committed one `name`. With `parent`, a snapshot that was prepared on nothing is put on it
   * now: layers that do not need each other can be filled at the same time. `usage` spares counting again.
   */
  commit(
    name: string,
    key: string,
    options?: SnapshotOptions & { readonly parent?: string; readonly usage?: DiskUsage },
  ): Promise<void>;
  /** Refuses one that others stand on. */
  remove(name: string): Promise<void>;
  list(): readonly SnapshotInfo[];
}

export type SnapshotErrorCode = 'NotFound' | 'AlreadyExists' | 'FailedPrecondition' | 'InvalidArgument';

export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly code: SnapshotErrorCode;

  constructor(code: SnapshotErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
