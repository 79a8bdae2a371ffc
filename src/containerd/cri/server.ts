/**
 * The CRI: both services bound to their RPCs, and what has to be done once before the first call, taking over what an earlier daemon left. RPCs that are
 * left out answer Unimplemented.
 */
import { ImageService, RuntimeService } from '#api-cri/gen/api.ts';
import { isPinnedNamespace } from '#host-linux/pinned-namespaces.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import { attach } from './attach.ts';
import { containerStats } from './container-stats.ts';
import { containerStatus } from './container-status.ts';
import type { CriContext } from './context.ts';
import { createContainer } from './create-container.ts';
import { toRpcError } from './errors.ts';
import { exec } from './exec.ts';
import { execSync } from './exec-sync.ts';
import { getContainerEvents } from './get-container-events.ts';
import { imageFsInfo } from './image-fs-info.ts';
import { imageStatus } from './image-status.ts';
import { listContainerStats } from './list-container-stats.ts';
import { listContainers } from './list-containers.ts';
import { listImages } from './list-images.ts';
import { listPodSandbox } from './list-pod-sandbox.ts';
import { listPodSandboxStats, podSandboxStats } from './pod-sandbox-stats.ts';
import { podSandboxStatus } from './pod-sandbox-status.ts';
import { portForward } from './port-forward.ts';
import { pullImage } from './pull-image.ts';
import { removeContainer } from './remove-container.ts';
import { removeImage } from './remove-image.ts';
import { removePodSandbox } from './remove-pod-sandbox.ts';
import { reopenContainerLog } from './reopen-container-log.ts';
import { runPodSandbox } from './run-pod-sandbox.ts';
import { runtimeConfig } from './runtime-config.ts';
import { recordExit, recordLost, startContainer, unmountRoot, watchExit } from './start-container.ts';
import { status } from './status.ts';
import { stopContainer } from './stop-container.ts';
import { stopPodSandbox } from './stop-pod-sandbox.ts';
import { updateContainerResources } from './update-container-resources.ts';
import { version } from './version.ts';

export function bindCri(context: CriContext): BoundService[] {
  /** Errors of our own classes become what the wire carries. */
  const answer =
    <I, O>(rpc: (context: CriContext, request: I, signal: AbortSignal) => O | Promise<O>) =>
    async (request: I, call: { readonly signal: AbortSignal }): Promise<O> => {
      try {
        return await rpc(context, request, call.signal);
      } catch (error) {
        throw toRpcError(error);
      }
    };
  return [
    bind(RuntimeService, {
      version: answer(version),
      status: answer(status),
      runtimeConfig: answer(runtimeConfig),
      updateRuntimeConfig: answer(() => ({})),
      runPodSandbox: answer(runPodSandbox),
      stopPodSandbox: answer(stopPodSandbox),
      removePodSandbox: answer(removePodSandbox),
      podSandboxStatus: answer(podSandboxStatus),
      listPodSandbox: answer(listPodSandbox),
      createContainer: answer(createContainer),
      startContainer: answer(startContainer),
      stopContainer: answer(stopContainer),
      removeContainer: answer(removeContainer),
      listContainers: answer(listContainers),
      containerStatus: answer(containerStatus),
      updateContainerResources: answer(updateContainerResources),
      reopenContainerLog: answer(reopenContainerLog),
      execSync: answer(execSync),
      exec: answer(exec),
      attach: answer(attach),
      portForward: answer(portForward),
      containerStats: answer(containerStats),
      listContainerStats: answer(listContainerStats),
      podSandboxStats: answer(podSandboxStats),
      listPodSandboxStats: answer(listPodSandboxStats),
      getContainerEvents: (_, sink, call) => getContainerEvents(context, sink, call),
    }),
    bind(ImageService, {
      listImages: answer(listImages),
      imageStatus: answer(imageStatus),
      pullImage: answer(pullImage),
      removeImage: answer(removeImage),
      imageFsInfo: answer(imageFsInfo),
    }),
  ];
}

/** Finds what runs since before this daemon, and how what ended meanwhile ended. */
export async function adoptContainers(context: CriContext): Promise<void> {
  const adopted = new Map(
    (await context.runtime.adopt())
      .filter(({ execId }) => execId === undefined)
      .map((process) => [process.id, process]),
  );
  for (const sandbox of context.sandboxes.list()) {
    const pinned = Object.values(sandbox.namespaces).every(isPinnedNamespace);
    const paused = sandbox.pauseId === undefined || adopted.get(sandbox.pauseId)?.status === 'running';
    // After a reboot there is a record and nothing behind it: the kubelet makes the pod anew.
    if (sandbox.ready && !(pinned && paused)) await context.sandboxes.update(sandbox.id, { ready: false });
  }
  for (const { id, status: known } of context.containers.list()) {
    const process = adopted.get(id);
    if (process?.status === 'running') {
      await context.containers.update(id, {
        status: {
          state: 'running',
          pid: process.pid,
          ...(known.startedAt === 0n ? { startedAt: BigInt(context.clock.now()) * 1_000_000n } : {}),
        },
      });
      watchExit(context, id);
    } else if (process?.exit !== undefined && known.state === 'running') {
      await recordExit(context, id, process.exit);
      await context.runtime.delete(id, { force: true });
      unmountRoot(context, id);
    } else if (known.state === 'running') await recordLost(context, id);
    // A start that the crash cut off: the runtime made it, nobody let it go. It can be started again.
    else if (process !== undefined) await context.runtime.delete(id, { force: true });
  }
  // What the runtime has and no record names was being made when the daemon went.
  for (const [id] of adopted)
    if (context.containers.find(id) === undefined && !context.sandboxes.list().some(({ pauseId }) => pauseId === id))
      await context.runtime.delete(id, { force: true });
}
