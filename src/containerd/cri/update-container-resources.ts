/** UpdateContainerResources: new cgroup amounts for a container, running or not started yet. What is zero stays. */
import {
  LinuxContainerResources,
  type UpdateContainerResourcesRequest,
  type UpdateContainerResourcesResponse,
} from '#api-cri/gen/api.ts';
import { parseSpec, specToJson } from '#api-oci/parse-spec.ts';
import { readIfThere, replaceFile } from '#host/files.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { bundleFolder, type CriContext } from './context.ts';
import { during } from './errors.ts';
import { containerResources } from './spec/resources.ts';

export async function updateContainerResources(
  context: CriContext,
  request: UpdateContainerResourcesRequest,
): Promise<UpdateContainerResourcesResponse> {
  const container = context.containers.require(request.containerId, 'failed to find container');
  const { id, status } = container;
  if (status.state !== 'created' && status.state !== 'running')
    throw new RpcError(
      Code.Unknown,
      `failed to update resources: container ${JSON.stringify(id)} is in CONTAINER_${status.state.toUpperCase()} state`,
    );
  const merged = merge(container.resources, request.linux);
  const resources = containerResources(merged);
  await during('failed to update resources', async () => {
    const path = `${bundleFolder(context.paths, id)}/config.json`;
    const text = await readIfThere(path);
    if (text !== undefined) {
      const spec = parseSpec(text.toString());
      const linux = { ...spec.linux, resources: { ...spec.linux?.resources, ...resources } };
      await replaceFile(path, specToJson({ ...spec, linux }), { mode: 0o600, durable: false });
    }
    if (status.state === 'running') await context.runtime.update(id, resources);
  });
  await context.containers.update(id, { resources: merged });
  return {};
}

function merge(
  before: LinuxContainerResources | undefined,
  change: LinuxContainerResources | undefined,
): LinuxContainerResources {
  if (before === undefined || change === undefined) return LinuxContainerResources.create(change ?? before);
  return {
    cpuPeriod: change.cpuPeriod || before.cpuPeriod,
    cpuQuota: change.cpuQuota || before.cpuQuota,
    cpuShares: change.cpuShares || before.cpuShares,
    memoryLimitInBytes: change.memoryLimitInBytes || before.memoryLimitInBytes,
    memorySwapLimitInBytes: change.memorySwapLimitInBytes || before.memorySwapLimitInBytes,
    oomScoreAdj: change.oomScoreAdj || before.oomScoreAdj,
    cpusetCpus: change.cpusetCpus || before.cpusetCpus,
    cpusetMems: change.cpusetMems || before.cpusetMems,
    hugepageLimits: change.hugepageLimits.length > 0 ? change.hugepageLimits : before.hugepageLimits,
    unified: new Map([...before.unified, ...change.unified]),
  };
}
