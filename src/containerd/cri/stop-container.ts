/** StopContainer: the stop signal, some time to end, then SIGKILL to everything in the container. Again, or of none, it is fine. */
import type { StopContainerRequest, StopContainerResponse } from '#api-cri/gen/api.ts';
import { RuntimeError } from '#runtime/error.ts';
import { sleep } from '#std/clock.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Container } from './container-store.ts';
import type { CriContext } from './context.ts';
import { during } from './errors.ts';
import { SIGKILL } from './signal.ts';

/** How long SIGKILL may take: a process that waits for a disk does not hear it before. */
const killTimeoutMs = 120_000;

export async function stopContainer(
  context: CriContext,
  request: StopContainerRequest,
  signal?: AbortSignal,
): Promise<StopContainerResponse> {
  const container = context.containers.find(request.containerId);
  if (container === undefined) return {};
  await endContainer(context, container, Number(request.timeout) * 1000, signal);
  return {};
}

export async function killContainer(context: CriContext, container: Container): Promise<void> {
  await endContainer(context, container, 0);
}

async function endContainer(
  context: CriContext,
  { id, stopSignal }: Container,
  graceMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const state = () => context.containers.find(id)?.status.state;
  if (state() !== 'running') return;
  if (graceMs > 0) {
    // Once: to many a program the second one means to drop everything.
    if (!context.stopSignaled.has(id)) {
      context.stopSignaled.add(id);
      await during(`failed to stop container ${JSON.stringify(id)}`, () => send(context, id, stopSignal, false)).catch(
        (error: unknown) => {
          context.stopSignaled.delete(id);
          throw error;
        },
      );
    }
    if (await ended(context, id, graceMs, signal)) return;
    signal?.throwIfAborted();
  }
  await during(`failed to kill container ${JSON.stringify(id)}`, () => send(context, id, SIGKILL, true));
  if (await ended(context, id, killTimeoutMs, signal)) return;
  signal?.throwIfAborted();
  throw new RpcError(
    Code.DeadlineExceeded,
    `an error occurs during waiting for container ${JSON.stringify(id)} to be killed: wait container ${JSON.stringify(id)}: context deadline exceeded`,
  );
}

async function send(context: CriContext, id: string, number: number, all: boolean): Promise<void> {
  try {
    await context.runtime.kill(id, number, { all });
  } catch (error) {
    // It ended by itself meanwhile.
    if (error instanceof RuntimeError && (error.code === 'NotFound' || error.code === 'FailedPrecondition')) return;
    throw error;
  }
}

/** Whether the container's end was recorded within the time. */
async function ended(context: CriContext, id: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
  const exit = context.exits.get(id);
  if (exit === undefined) return context.containers.find(id)?.status.state !== 'running';
  const giveUp = new AbortController();
  const combined = signal === undefined ? giveUp.signal : AbortSignal.any([giveUp.signal, signal]);
  try {
    return await Promise.race([
      exit.then(() => true),
      sleep(context.clock, timeoutMs, combined).then(
        () => false,
        () => false,
      ),
    ]);
  } finally {
    giveUp.abort();
  }
}
