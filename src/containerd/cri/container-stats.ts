/** ContainerStats: what one container uses now. */
import {
  ContainerStats,
  type ContainerStatsRequest,
  type ContainerStatsResponse,
  type CpuUsage,
  type MemoryUsage,
} from '#api-cri/gen/api.ts';
import { RuntimeError } from '#runtime/error.ts';
import type { Stats } from '#runtime/runtime.ts';
import type { Container } from './container-store.ts';
import { type CriContext, nowNs, snapshotKey } from './context.ts';

export async function containerStats(
  context: CriContext,
  request: ContainerStatsRequest,
): Promise<ContainerStatsResponse> {
  const container = context.containers.require(request.containerId, 'failed to find container');
  return { stats: await readContainerStats(context, container) };
}

/** A container that does not run has attributes and a writable layer only. */
export async function readContainerStats(context: CriContext, container: Container): Promise<ContainerStats> {
  const { id, config } = container;
  const layer = await context.stats.writableLayer(snapshotKey(container));
  const stats = container.status.state === 'running' ? await readIfRunning(context, id) : undefined;
  return ContainerStats.create({
    attributes: { id, metadata: config.metadata, labels: config.labels, annotations: config.annotations },
    writableLayer: {
      timestamp: nowNs(context.clock),
      fsId: { mountpoint: `${context.paths.root}/io.containerd.snapshotter.v1.overlayfs` },
      usedBytes: { value: BigInt(layer?.bytes ?? 0) },
      inodesUsed: { value: BigInt(layer?.inodes ?? 0) },
    },
    ...(stats === undefined
      ? {}
      : {
          cpu: cpuUsage(context, id, stats),
          memory: memoryUsage(stats),
          swap: {
            timestamp: BigInt(stats.readAt) * 1_000_000n,
            swapUsageBytes: value(stats.memory.swapUsage),
            swapAvailableBytes: undefined,
          },
        }),
  });
}

export async function readIfRunning(context: CriContext, id: string): Promise<Stats | undefined> {
  try {
    return await context.runtime.stats(id);
  } catch (error) {
    // It ended while we asked.
    if (error instanceof RuntimeError && (error.code === 'NotFound' || error.code === 'FailedPrecondition'))
      return undefined;
    throw error;
  }
}

function cpuUsage(context: CriContext, id: string, stats: Stats): CpuUsage {
  return {
    timestamp: BigInt(stats.readAt) * 1_000_000n,
    usageCoreNanoSeconds: value(stats.cpu.usage),
    usageNanoCores: value(context.stats.nanoCores(id, stats.cpu.usage)),
    psi: undefined,
  };
}

function memoryUsage({ readAt, memory }: Stats): MemoryUsage {
  const available = memory.limit === undefined ? undefined : memory.limit - memory.workingSet;
  return {
    timestamp: BigInt(readAt) * 1_000_000n,
    workingSetBytes: value(memory.workingSet),
    availableBytes: value(available === undefined || available < 0n ? undefined : available),
    usageBytes: value(memory.usage),
    rssBytes: value(memory.rss),
    pageFaults: value(memory.pageFaults),
    majorPageFaults: value(memory.majorPageFaults),
    psi: undefined,
  };
}

function value(number: bigint | undefined): { readonly value: bigint } | undefined {
  return number === undefined ? undefined : { value: number };
}
