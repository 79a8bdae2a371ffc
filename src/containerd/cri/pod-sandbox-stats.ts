/** PodSandboxStats and ListPodSandboxStats: what pods use now, summed over their containers. */
import {
  type ContainerStats,
  LinuxPodSandboxStats,
  type ListPodSandboxStatsRequest,
  type ListPodSandboxStatsResponse,
  PodSandboxStats,
  type PodSandboxStatsRequest,
  type PodSandboxStatsResponse,
} from '#api-cri/gen/api.ts';
import { readContainerStats } from './container-stats.ts';
import { type CriContext, nowNs } from './context.ts';
import { hasLabels } from './list-pod-sandbox.ts';
import type { Sandbox } from './sandbox-store.ts';

export async function podSandboxStats(
  context: CriContext,
  request: PodSandboxStatsRequest,
): Promise<PodSandboxStatsResponse> {
  const sandbox = context.sandboxes.require(
    request.podSandboxId,
    `an error occurred when trying to find sandbox ${JSON.stringify(request.podSandboxId)}`,
  );
  return { stats: await read(context, sandbox) };
}

export async function listPodSandboxStats(
  context: CriContext,
  { filter }: ListPodSandboxStatsRequest,
): Promise<ListPodSandboxStatsResponse> {
  const wanted = context.sandboxes
    .list()
    .filter(
      (sandbox) =>
        sandbox.ready &&
        (filter === undefined ||
          (sandbox.id.startsWith(filter.id) && hasLabels(sandbox.config.labels, filter.labelSelector))),
    );
  return { stats: await Promise.all(wanted.map((sandbox) => read(context, sandbox))) };
}

async function read(context: CriContext, sandbox: Sandbox): Promise<PodSandboxStats> {
  const running = context.containers.ofSandbox(sandbox.id).filter(({ status }) => status.state === 'running');
  const containers = await Promise.all(running.map((container) => readContainerStats(context, container)));
  const sum = (pick: (stats: ContainerStats) => { readonly value: bigint } | undefined) => ({
    value: containers.reduce((total, stats) => total + (pick(stats)?.value ?? 0n), 0n),
  });
  const timestamp = nowNs(context.clock);
  return PodSandboxStats.create({
    attributes: {
      id: sandbox.id,
      metadata: sandbox.config.metadata,
      labels: sandbox.config.labels,
      annotations: sandbox.config.annotations,
    },
    linux: LinuxPodSandboxStats.create({
      cpu: {
        timestamp,
        usageCoreNanoSeconds: sum(({ cpu }) => cpu?.usageCoreNanoSeconds),
        usageNanoCores: sum(({ cpu }) => cpu?.usageNanoCores),
        psi: undefined,
      },
      memory: {
        timestamp,
        workingSetBytes: sum(({ memory }) => memory?.workingSetBytes),
        availableBytes: undefined,
        usageBytes: sum(({ memory }) => memory?.usageBytes),
        rssBytes: sum(({ memory }) => memory?.rssBytes),
        pageFaults: sum(({ memory }) => memory?.pageFaults),
        majorPageFaults: sum(({ memory }) => memory?.majorPageFaults),
        psi: undefined,
      },
      containers,
    }),
  });
}
