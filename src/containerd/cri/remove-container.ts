/** RemoveContainer: takes away a container with its snapshot, stopping it first if need be. Of none it is fine. */
import type { RemoveContainerRequest, RemoveContainerResponse } from '#api-cri/gen/api.ts';
import { removeTree } from '#host/files.ts';
import { unmount } from '#host-linux/mount.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { SnapshotError } from '../snapshots/snapshotter.ts';
import { bundleFolder, type CriContext, snapshotKey } from './context.ts';
import { during } from './errors.ts';
import { publishContainerEvent } from './publish-event.ts';
import { killContainer } from './stop-container.ts';

export async function removeContainer(
  context: CriContext,
  request: RemoveContainerRequest,
): Promise<RemoveContainerResponse> {
  const container = context.containers.find(request.containerId);
  if (container === undefined) return {};
  const { id } = container;
  const busy = context.busy.get(id);
  if (busy !== undefined)
    throw new RpcError(
      Code.Unknown,
      `failed to set removing state for container ${JSON.stringify(id)}: container is ${busy === 'starting' ? 'in starting state' : 'already in removing state'}`,
    );
  context.busy.set(id, 'removing');
  try {
    await during(`failed to forcibly stop container ${JSON.stringify(id)}`, () => killContainer(context, container));
    // The runtime lets go of the root once the end is recorded.
    await context.exits.get(id);
    await removeContainerFiles(context, id);
    context.stats.forget(id);
    await context.containers.delete(id);
  } finally {
    context.busy.delete(id);
  }
  publishContainerEvent(context, id, container.sandboxId, 'deleted');
  return {};
}

/** Each may be gone already. */
export async function removeContainerFiles(context: CriContext, id: string): Promise<void> {
  const bundle = bundleFolder(context.paths, id);
  unmount(`${bundle}/rootfs`);
  try {
    await context.images.deps.snapshots.remove(snapshotKey({ id }));
  } catch (error) {
    if (!(error instanceof SnapshotError && error.code === 'NotFound')) throw error;
  }
  await removeTree(bundle);
}
