/**
 * StartContainer: hands the container to the runtime, and from then on waits for its end. When it has ended the runtime forgets it; what is left
 * is the record, the log and the snapshot, until it is removed.
 */
import type { StartContainerRequest, StartContainerResponse } from '#api-cri/gen/api.ts';
import { makeFolder } from '#host/files.ts';
import { parentFolder } from '#host/path.ts';
import { unmount } from '#host-linux/mount.ts';
import { RuntimeError } from '#runtime/error.ts';
import type { Exit, Stdio } from '#runtime/runtime.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Container } from './container-store.ts';
import { bundleFolder, type CriContext, nowNs } from './context.ts';
import { during, fromRuntime, toRpcError } from './errors.ts';
import { publishContainerEvent } from './publish-event.ts';

/** What containerd records for a container that could not be started. */
const exitCodeStartError = 128;

export async function startContainer(
  context: CriContext,
  request: StartContainerRequest,
): Promise<StartContainerResponse> {
  const container = context.containers.require(request.containerId);
  const { id } = container;
  if (container.status.state !== 'created')
    throw new RpcError(
      Code.Unknown,
      `failed to set starting state for container ${JSON.stringify(id)}: container is in CONTAINER_${container.status.state.toUpperCase()} state`,
    );
  const busy = context.busy.get(id);
  if (busy !== undefined)
    throw new RpcError(
      Code.Unknown,
      busy === 'starting'
        ? `failed to set starting state for container ${JSON.stringify(id)}: container is already in starting state`
        : `failed to set starting state for container ${JSON.stringify(id)}: container is in removing state, can't be started`,
    );
  const sandbox = context.sandboxes.require(
    container.sandboxId,
    `sandbox ${JSON.stringify(container.sandboxId)} not found`,
  );
  if (!sandbox.ready)
    throw new RpcError(Code.Unknown, `sandbox container ${JSON.stringify(sandbox.id)} is not running`);
  context.busy.set(id, 'starting');
  try {
    await start(context, container);
  } finally {
    context.busy.delete(id);
  }
  publishContainerEvent(context, id, container.sandboxId, 'started');
  return {};
}

async function start(context: CriContext, container: Container): Promise<void> {
  const { id, config } = container;
  try {
    if (container.logPath !== '') await makeFolder(parentFolder(container.logPath), 0o755);
    await during('failed to create containerd task', () =>
      context.runtime
        .create({
          id,
          bundle: bundleFolder(context.paths, id),
          stdio: containerStdio(container),
          labels: { 'io.cri-containerd.kind': 'container', 'io.kubernetes.cri.sandbox-id': container.sandboxId },
        })
        .catch((error: unknown) => {
          throw toRpcError(fromRuntime('create', error), 'failed to create shim task');
        }),
    );
    const { pid } = await context.runtime.start(id).catch((error: unknown) => {
      throw toRpcError(fromRuntime('start', error), `failed to start containerd task ${JSON.stringify(id)}`);
    });
    await context.containers.update(id, { status: { state: 'running', startedAt: nowNs(context.clock), pid } });
    watchExit(context, id);
  } catch (error) {
    const failure = toRpcError(error);
    await context.runtime.delete(id, { force: true }).catch((problem) => {
      if (!(problem instanceof RuntimeError && problem.code === 'NotFound'))
        context.warn(`removing container ${id}`, problem);
    });
    unmountRoot(context, id);
    await context.containers.update(id, {
      status: {
        state: 'exited',
        finishedAt: nowNs(context.clock),
        exitCode: exitCodeStartError,
        reason: 'StartError',
        message: failure.message,
      },
    });
    throw failure;
  }

  function containerStdio({ logPath }: Container): Stdio {
    return {
      stdin: config.stdin ? 'pipe' : 'null',
      stdout: 'pipe',
      stderr: 'pipe',
      ...(logPath === '' ? {} : { logPath }),
      ...(config.stdinOnce ? { stdinOnce: true } : {}),
    };
  }
}

/** Records the end of a running container when it comes. Once for each container, after its start or its adoption. */
export function watchExit(context: CriContext, id: string): void {
  const done = record(context, id).catch((error) => context.warn(`recording the end of container ${id}`, error));
  context.exits.set(id, done);
  void done.then(() => {
    context.exits.delete(id);
    context.stopSignaled.delete(id);
  });
}

async function record(context: CriContext, id: string): Promise<void> {
  let exit: Exit;
  try {
    exit = await context.runtime.wait(id);
  } catch (error) {
    // The daemon is going away and leaves the container running; or somebody deleted it, who records that.
    if (
      context.containers.find(id)?.status.state !== 'running' ||
      !(error instanceof RuntimeError && error.code === 'NotFound')
    )
      return;
    await recordLost(context, id);
    return;
  }
  await recordExit(context, id, exit);
  await context.runtime.delete(id, { force: true });
  unmountRoot(context, id);
}

/** A container that has ended needs its root no more; what it wrote stays in its snapshot. */
export function unmountRoot(context: CriContext, id: string): void {
  unmount(`${bundleFolder(context.paths, id)}/rootfs`);
}

export async function recordExit(context: CriContext, id: string, exit: Exit): Promise<void> {
  const container = await context.containers.update(id, {
    status: {
      state: 'exited',
      finishedAt: exit.exitedAt,
      exitCode: exit.exitCode,
      reason: exit.oomKilled ? 'OOMKilled' : exit.exitCode === 0 ? 'Completed' : 'Error',
      pid: 0,
    },
  });
  if (container !== undefined) publishContainerEvent(context, id, container.sandboxId, 'stopped');
}

/** The container is gone and nobody saw how: a reboot, or its monitor was killed with it. */
export async function recordLost(context: CriContext, id: string): Promise<void> {
  const container = await context.containers.update(id, {
    status: { state: 'exited', finishedAt: nowNs(context.clock), exitCode: 255, reason: 'Unknown', pid: 0 },
  });
  if (container !== undefined) publishContainerEvent(context, id, container.sandboxId, 'stopped');
}
