/** Tells GetContainerEvents' listeners what happened, with the state of the pod as it is then. */
import { ContainerEventType } from '#api-cri/gen/api.ts';
import { containerStatusOf } from './container-status.ts';
import { type CriContext, nowNs } from './context.ts';
import { sandboxStatusOf } from './pod-sandbox-status.ts';

const types = {
  created: ContainerEventType.CONTAINER_CREATED_EVENT,
  started: ContainerEventType.CONTAINER_STARTED_EVENT,
  stopped: ContainerEventType.CONTAINER_STOPPED_EVENT,
  deleted: ContainerEventType.CONTAINER_DELETED_EVENT,
} as const;

/** A sandbox counts as a container of its own. */
export function publishSandboxEvent(context: CriContext, sandboxId: string, type: keyof typeof types): void {
  publishContainerEvent(context, sandboxId, sandboxId, type);
}

export function publishContainerEvent(
  context: CriContext,
  containerId: string,
  sandboxId: string,
  type: keyof typeof types,
): void {
  if (!context.events.subscribed) return;
  const sandbox = context.sandboxes.find(sandboxId);
  context.events.publish({
    containerId,
    containerEventType: types[type],
    createdAt: nowNs(context.clock),
    podSandboxStatus: sandbox === undefined ? undefined : sandboxStatusOf(sandbox),
    containersStatuses: context.containers.ofSandbox(sandboxId).map(containerStatusOf),
  });
}
