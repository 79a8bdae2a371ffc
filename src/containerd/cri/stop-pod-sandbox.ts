/** StopPodSandbox: ends a pod's containers, takes its network away and lets go of its namespaces. Again, or of none, it is fine. */
import type { StopPodSandboxRequest, StopPodSandboxResponse } from '#api-cri/gen/api.ts';
import { unmount } from '#host-linux/mount.ts';
import { unpinNamespace } from '#host-linux/pinned-namespaces.ts';
import { type CriContext, sandboxStateFolder } from './context.ts';
import { during } from './errors.ts';
import { removePause } from './pause.ts';
import { publishSandboxEvent } from './publish-event.ts';
import { podNetworkInfo } from './run-pod-sandbox.ts';
import type { Sandbox } from './sandbox-store.ts';
import { killContainer } from './stop-container.ts';

export async function stopPodSandbox(
  context: CriContext,
  request: StopPodSandboxRequest,
): Promise<StopPodSandboxResponse> {
  const sandbox = context.sandboxes.find(request.podSandboxId);
  if (sandbox !== undefined) await stopSandbox(context, sandbox);
  return {};
}

/** Every step may have been done before: by an earlier try, or by a reboot. */
export async function stopSandbox(context: CriContext, sandbox: Sandbox): Promise<void> {
  for (const container of context.containers.ofSandbox(sandbox.id))
    await during(`failed to stop container ${JSON.stringify(container.id)}`, () => killContainer(context, container));
  if (sandbox.pauseId !== undefined) await removePause(context, sandbox);
  const { network } = sandbox.namespaces;
  if (network !== undefined && sandbox.networkGone !== true) {
    await during(`failed to destroy network for sandbox ${JSON.stringify(sandbox.id)}`, () =>
      context.network.teardown(network, podNetworkInfo(sandbox.id, sandbox.config)),
    );
    await context.sandboxes.update(sandbox.id, { networkGone: true });
  }
  for (const path of Object.values(sandbox.namespaces)) unpinNamespace(path);
  unmount(`${sandboxStateFolder(context.paths, sandbox.id)}/shm`);
  if (context.sandboxes.find(sandbox.id)?.ready !== true) return;
  await context.sandboxes.update(sandbox.id, { ready: false });
  publishSandboxEvent(context, sandbox.id, 'stopped');
}
