/** ListContainerStats: what the running containers that a filter lets through use now. */
import type { ContainerStatsFilter, ListContainerStatsRequest, ListContainerStatsResponse } from '#api-cri/gen/api.ts';
import { readContainerStats } from './container-stats.ts';
import type { Container } from './container-store.ts';
import type { CriContext } from './context.ts';
import { hasLabels } from './list-pod-sandbox.ts';

export async function listContainerStats(
  context: CriContext,
  request: ListContainerStatsRequest,
): Promise<ListContainerStatsResponse> {
  const wanted = context.containers
    .list()
    .filter((container) => container.status.state === 'running' && matches(container, request.filter));
  return { stats: await Promise.all(wanted.map((container) => readContainerStats(context, container))) };
}

function matches(container: Container, filter: ContainerStatsFilter | undefined): boolean {
  if (filter === undefined) return true;
  if (filter.id !== '' && !container.id.startsWith(filter.id)) return false;
  if (filter.podSandboxId !== '' && !container.sandboxId.startsWith(filter.podSandboxId)) return false;
  return hasLabels(container.config.labels, filter.labelSelector);
}
