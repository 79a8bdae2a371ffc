/**
 * What an earlier daemon left behind and nothing on record belongs to: mounts, bundles and pod folders of containers and pods that
 * were being made, or taken away, when it was killed. Called after adoption, when nothing else is going on.
 */
import { listFolder, removeTree } from '#host/files.ts';
import { unmount } from '#host-linux/mount.ts';
import { mountPointsUnder } from '#host-linux/mount-table.ts';
import { bundleFolder, type CriContext, sandboxFolder, sandboxStateFolder, snapshotKey } from './cri/context.ts';

export async function removeLeftovers(context: CriContext): Promise<void> {
  const { paths } = context;
  const containers = new Set(context.containers.list().map(({ id }) => id));
  const sandboxes = new Set(context.sandboxes.list().map(({ id }) => id));
  const bundles = bundleFolder(paths, '').slice(0, -1);
  const folders = [sandboxStateFolder(paths, '').slice(0, -1), sandboxFolder(paths, '').slice(0, -1)];
  for (const id of await listFolder(bundles))
    if (!containers.has(id) && !sandboxes.has(id)) await removeWithMounts(`${bundles}/${id}`);
  for (const folder of folders)
    for (const id of await listFolder(folder)) if (!sandboxes.has(id)) await removeWithMounts(`${folder}/${id}`);
  const keys = new Set(context.containers.list().map(snapshotKey));
  const { snapshots } = context.images.deps;
  for (const { name, kind, labels } of snapshots.list())
    if (kind === 'active' && labels['io.cri-containerd.kind'] === 'container' && !keys.has(name))
      await snapshots.remove(name);
}

/** Takes every mount at and below a folder off, then the folder. */
export async function removeWithMounts(folder: string): Promise<void> {
  for (const path of mountPointsUnder(folder)) unmount(path);
  await removeTree(folder);
}
