/** ListContainers: the containers that a filter lets through. */
import type { ContainerFilter, ListContainersRequest, ListContainersResponse } from '#api-cri/gen/api.ts';
import { containerStateOf, imageSpecOf } from './container-status.ts';
import type { Container } from './container-store.ts';
import type { CriContext } from './context.ts';
import { hasLabels } from './list-pod-sandbox.ts';

export function listContainers(context: CriContext, request: ListContainersRequest): ListContainersResponse {
  return {
    containers: context.containers
      .list()
      .filter((container) => matches(context, container, request.filter))
      .map((container) => ({
        id: container.id,
        podSandboxId: container.sandboxId,
        metadata: container.config.metadata,
        image: imageSpecOf(container),
        imageRef: container.imageId,
        imageId: container.imageId,
        state: containerStateOf(container),
        createdAt: container.createdAt,
        labels: container.config.labels,
        annotations: container.config.annotations,
      })),
  };
}

function matches(context: CriContext, container: Container, filter: ContainerFilter | undefined): boolean {
  if (filter === undefined) return true;
  if (filter.id !== '' && !container.id.startsWith(filter.id)) return false;
  if (filter.podSandboxId !== '') {
    const sandbox = context.sandboxes.find(filter.podSandboxId)?.id ?? filter.podSandboxId;
    if (container.sandboxId !== sandbox) return false;
  }
  if (filter.state !== undefined && filter.state.state !== containerStateOf(container)) return false;
  return hasLabels(container.config.labels, filter.labelSelector);
}
