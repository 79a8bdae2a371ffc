/** cgroup amounts of the CRI as the runtime specification's. Zero leaves a setting alone; bytes and microseconds stay what they are. */
import type { LinuxContainerResources } from '#api-cri/gen/api.ts';
import type { Resources } from '#api-oci/runtime-spec.ts';

export function containerResources(resources: LinuxContainerResources | undefined): Resources {
  if (resources === undefined) return {};
  const { cpuShares, cpuQuota, cpuPeriod, cpusetCpus, cpusetMems, memoryLimitInBytes, memorySwapLimitInBytes } =
    resources;
  const cpu = {
    ...(cpuShares === 0n ? {} : { shares: Number(cpuShares) }),
    ...(cpuQuota === 0n ? {} : { quota: Number(cpuQuota) }),
    ...(cpuPeriod === 0n ? {} : { period: Number(cpuPeriod) }),
    ...(cpusetCpus === '' ? {} : { cpus: cpusetCpus }),
    ...(cpusetMems === '' ? {} : { mems: cpusetMems }),
  };
  const memory = {
    ...(memoryLimitInBytes === 0n ? {} : { limit: Number(memoryLimitInBytes) }),
    // Without a say on swap, a container's limit is for both together: it gets none.
    ...(memorySwapLimitInBytes !== 0n
      ? { swap: Number(memorySwapLimitInBytes) }
      : memoryLimitInBytes === 0n
        ? {}
        : { swap: Number(memoryLimitInBytes) }),
  };
  return {
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(resources.hugepageLimits.length === 0
      ? {}
      : { hugepageLimits: resources.hugepageLimits.map(({ pageSize, limit }) => ({ pageSize, limit })) }),
    ...(resources.unified.size === 0 ? {} : { unified: Object.fromEntries(resources.unified) }),
  };
}
