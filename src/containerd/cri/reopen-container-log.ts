/** ReopenContainerLog: after the kubelet rotated a log away, the container writes to a new file at the same path. */
import type { ReopenContainerLogRequest, ReopenContainerLogResponse } from '#api-cri/gen/api.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { CriContext } from './context.ts';

export async function reopenContainerLog(
  context: CriContext,
  request: ReopenContainerLogRequest,
): Promise<ReopenContainerLogResponse> {
  const container = context.containers.require(request.containerId);
  if (container.status.state !== 'running') throw new RpcError(Code.Unknown, 'container is not running');
  await context.runtime.reopenLog(container.id);
  return {};
}
