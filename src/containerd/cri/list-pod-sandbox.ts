/** ListPodSandbox: the pods that a filter lets through. */
import type { ListPodSandboxRequest, ListPodSandboxResponse, PodSandboxFilter } from '#api-cri/gen/api.ts';
import type { CriContext } from './context.ts';
import { sandboxState } from './pod-sandbox-status.ts';
import type { Sandbox } from './sandbox-store.ts';

export function listPodSandbox(context: CriContext, request: ListPodSandboxRequest): ListPodSandboxResponse {
  return {
    items: context.sandboxes
      .list()
      .filter((sandbox) => matches(sandbox, request.filter))
      .map((sandbox) => ({
        id: sandbox.id,
        metadata: sandbox.config.metadata,
        state: sandboxState(sandbox),
        createdAt: sandbox.createdAt,
        labels: sandbox.config.labels,
        annotations: sandbox.config.annotations,
        runtimeHandler: sandbox.runtimeHandler,
      })),
  };
}

function matches(sandbox: Sandbox, filter: PodSandboxFilter | undefined): boolean {
  if (filter === undefined) return true;
  if (filter.id !== '' && !sandbox.id.startsWith(filter.id)) return false;
  if (filter.state !== undefined && filter.state.state !== sandboxState(sandbox)) return false;
  return hasLabels(sandbox.config.labels, filter.labelSelector);
}

export function hasLabels(labels: ReadonlyMap<string, string>, selector: ReadonlyMap<string, string>): boolean {
  for (const [key, value] of selector) if (labels.get(key) !== value) return false;
  return true;
}
