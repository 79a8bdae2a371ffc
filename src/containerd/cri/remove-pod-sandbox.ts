/** RemovePodSandbox: takes away a pod with everything in it, stopping it first if need be. Of none it is fine. */
import type { RemovePodSandboxRequest, RemovePodSandboxResponse } from '#api-cri/gen/api.ts';
import { removePodCgroup } from './cgroup-path.ts';
import type { CriContext } from './context.ts';
import { during } from './errors.ts';
import { publishSandboxEvent } from './publish-event.ts';
import { removeContainer } from './remove-container.ts';
import { removeSandboxFiles } from './sandbox-files.ts';
import { stopSandbox } from './stop-pod-sandbox.ts';

export async function removePodSandbox(
  context: CriContext,
  request: RemovePodSandboxRequest,
): Promise<RemovePodSandboxResponse> {
  const sandbox = context.sandboxes.find(request.podSandboxId);
  if (sandbox === undefined) return {};
  if (sandbox.ready || sandbox.networkGone !== true)
    await during(`failed to forcibly stop sandbox ${JSON.stringify(sandbox.id)}`, () => stopSandbox(context, sandbox));
  for (const { id } of context.containers.ofSandbox(sandbox.id)) await removeContainer(context, { containerId: id });
  await removeSandboxFiles(context.paths, sandbox.id);
  publishSandboxEvent(context, sandbox.id, 'deleted');
  await context.sandboxes.delete(sandbox.id);
  removePodCgroup(context, sandbox);
  return {};
}
