/**
 * Snapshots on overlayfs: each has a folder `snapshots/<number>/fs`, and a mount stacks those of its parents. Names, parents and labels
 * are in the metadata store. A crash leaves at most folders that nothing names; `cleanup` removes them.
 */
import { type DiskUsage, diskUsage } from '#host/disk-usage.ts';
import { listFolder, makeFolder, removeTree } from '#host/files.ts';
import type { MountRequest } from '#host-linux/mount.ts';
import type { Json, MetadataStore } from '#image/metadata-store.ts';
import { assert } from '#std/assert.ts';
import type { Clock } from '#std/clock.ts';
import {
  SnapshotError,
  type SnapshotInfo,
  type SnapshotKind,
  type SnapshotOptions,
  type Snapshotter,
} from './snapshotter.ts';

interface Stored {
  readonly id: number;
  readonly kind: SnapshotKind;
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Of a committed snapshot. */
  readonly usage?: DiskUsage;
}

export interface OverlaySnapshotter extends Snapshotter {
  /** The folder that an active snapshot's own files go to: layers are unpacked straight into it. */
  upperFolder(key: string): string;
  /** The folders of a committed snapshot and its ancestors, nearest first. */
  layerFolders(name: string): string[];
  /** Removes folders that nothing names. To be called when nothing else is going on. */
  cleanup(): Promise<void>;
}

const bucket = 'snapshots/overlayfs';
const counterKey = 'next';
/** overlayfs takes 500 lower layers; containerd stops earlier for mount(2)'s page of options, which /proc/self/fd paths get around. */
const parentsMax = 500;

export async function openOverlaySnapshotter(deps: {
  /** containerd's `io.containerd.snapshotter.v1.overlayfs` folder, on a file system that overlayfs takes as an upper layer. */
  readonly root: string;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
}): Promise<OverlaySnapshotter> {
  const { root, metadata, clock } = deps;
  await makeFolder(`${root}/snapshots`, 0o700);
  /** Keys that a prepare is under way for: no two may make the same one. */
  const reserved = new Set<string>();

  const find = (name: string): Stored | undefined => metadata.get(bucket, name) as Stored | undefined;
  const require = (name: string): Stored => {
    const stored = find(name);
    if (stored === undefined) throw new SnapshotError('NotFound', `snapshot ${name} does not exist: not found`);
    return stored;
  };
  const put = (name: string, stored: Stored) =>
    metadata.commit([{ bucket, key: name, value: stored as unknown as Json }]);
  const infoOf = (name: string, { kind, parent, labels, createdAt, updatedAt }: Stored): SnapshotInfo => ({
    kind,
    name,
    parent,
    labels,
    createdAt,
    updatedAt,
  });
  const folderOf = ({ id }: Stored) => `${root}/snapshots/${id}`;

  /** Folders of a snapshot's ancestors, nearest first. */
  function lowerFolders(parent: string): string[] {
    const folders: string[] = [];
    for (let name = parent; name !== ''; ) {
      const stored = require(name);
      folders.push(`${folderOf(stored)}/fs`);
      if (folders.length > parentsMax)
        throw new SnapshotError('FailedPrecondition', `snapshot has more than ${parentsMax} parents`);
      name = stored.parent;
    }
    return folders;
  }

  function mountsOf(stored: Stored): readonly MountRequest[] {
    const own = folderOf(stored);
    const lowers = lowerFolders(stored.parent);
    if (stored.kind === 'view') {
      if (lowers.length === 0) return [{ type: 'bind', source: `${own}/fs`, options: ['ro', 'rbind'] }];
      if (lowers.length === 1) return [{ type: 'bind', source: lowers[0]!, options: ['ro', 'rbind'] }];
      return [{ type: 'overlay', source: 'overlay', options: ['index=off', `lowerdir=${lowers.join(':')}`] }];
    }
    if (lowers.length === 0) return [{ type: 'bind', source: `${own}/fs`, options: ['rw', 'rbind'] }];
    return [
      {
        type: 'overlay',
        source: 'overlay',
        options: ['index=off', `workdir=${own}/work`, `upperdir=${own}/fs`, `lowerdir=${lowers.join(':')}`],
      },
    ];
  }

  async function make(key: string, parent: string, kind: 'active' | 'view', options: SnapshotOptions) {
    if (key === '') throw new SnapshotError('InvalidArgument', 'snapshot key must not be empty: invalid argument');
    if (reserved.has(key) || find(key) !== undefined)
      throw new SnapshotError('AlreadyExists', `snapshot ${key}: already exists`);
    if (parent !== '' && require(parent).kind !== 'committed')
      throw new SnapshotError(
        'InvalidArgument',
        `parent ${JSON.stringify(parent)} is not committed snapshot: invalid argument`,
      );
    const id = ((metadata.get(`${bucket}/state`, counterKey) as number | undefined) ?? 0) + 1;
    reserved.add(key);
    try {
      // The number is taken before the folder is made: after a crash no later snapshot meets an old folder.
      await metadata.commit([{ bucket: `${bucket}/state`, key: counterKey, value: id }]);
      await makeFolder(`${root}/snapshots/${id}/fs`, 0o755);
      if (kind === 'active') await makeFolder(`${root}/snapshots/${id}/work`, 0o711);
      const now = clock.now();
      // What stood at the parent while the folder was made may have been removed.
      if (parent !== '') require(parent);
      const stored: Stored = { id, kind, parent, labels: options.labels ?? {}, createdAt: now, updatedAt: now };
      await put(key, stored);
      return mountsOf(stored);
    } finally {
      reserved.delete(key);
    }
  }

  return {
    stat: (name) => infoOf(name, require(name)),
    async update(name, labels) {
      const stored = require(name);
      const merged = Object.fromEntries(
        Object.entries({ ...stored.labels, ...labels }).filter(([, value]) => value !== ''),
      );
      const updated = { ...stored, labels: merged, updatedAt: clock.now() };
      await put(name, updated);
      return infoOf(name, updated);
    },
    async usage(name) {
      const stored = require(name);
      if (stored.usage !== undefined) return stored.usage;
      return diskUsage(`${folderOf(stored)}/fs`);
    },
    mounts(key) {
      const stored = require(key);
      if (stored.kind === 'committed')
        throw new SnapshotError('FailedPrecondition', `snapshot ${key} is not active: failed precondition`);
      return mountsOf(stored);
    },
    prepare: (key, parent, options = {}) => make(key, parent, 'active', options),
    view: (key, parent, options = {}) => make(key, parent, 'view', options),
    async commit(name, key, options = {}) {
      const before = require(key);
      if (before.kind !== 'active')
        throw new SnapshotError('FailedPrecondition', `snapshot ${key} is not active: failed precondition`);
      const parent = options.parent ?? before.parent;
      if (options.parent !== undefined && before.parent !== '' && before.parent !== options.parent)
        throw new SnapshotError('InvalidArgument', `snapshot ${key} has a parent already: invalid argument`);
      const usage = options.usage ?? (await diskUsage(`${folderOf(before)}/fs`));
      // Counting took a while: look again, and from here on nothing waits.
      const stored = require(key);
      if (find(name) !== undefined) throw new SnapshotError('AlreadyExists', `snapshot ${name}: already exists`);
      if (parent !== '' && require(parent).kind !== 'committed')
        throw new SnapshotError(
          'InvalidArgument',
          `parent ${JSON.stringify(parent)} is not committed snapshot: invalid argument`,
        );
      const committed: Stored = {
        ...stored,
        kind: 'committed',
        parent,
        labels: options.labels ?? {},
        updatedAt: clock.now(),
        usage,
      };
      await metadata.commit([
        { bucket, key, value: undefined },
        { bucket, key: name, value: committed as unknown as Json },
      ]);
    },
    async remove(name) {
      const stored = require(name);
      for (const other of metadata.entries(bucket).values())
        if ((other as unknown as Stored).parent === name)
          throw new SnapshotError('FailedPrecondition', `cannot remove snapshot with child: failed precondition`);
      await metadata.commit([{ bucket, key: name, value: undefined }]);
      await removeTree(folderOf(stored));
    },
    list: () => [...metadata.entries(bucket)].map(([name, stored]) => infoOf(name, stored as unknown as Stored)),
    upperFolder(key) {
      const stored = require(key);
      assert(stored.kind === 'active', `snapshot ${key} is ${stored.kind}, not active`);
      return `${folderOf(stored)}/fs`;
    },
    layerFolders: (name) => (name === '' ? [] : lowerFolders(name)),
    async cleanup() {
      const known = new Set(
        [...metadata.entries(bucket).values()].map((stored) => String((stored as unknown as Stored).id)),
      );
      for (const name of await listFolder(`${root}/snapshots`))
        if (!known.has(name)) await removeTree(`${root}/snapshots/${name}`);
    },
  };
}
