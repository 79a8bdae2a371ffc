/** Status: whether pods can run here, and what the runtime handlers can do. */
import { type StatusRequest, StatusResponse } from '#api-cri/gen/api.ts';
import type { CriContext } from './context.ts';
import { runtimeHandlers } from './run-pod-sandbox.ts';

export async function status(context: CriContext, request: StatusRequest): Promise<StatusResponse> {
  const network = await context.network.status();
  const info = new Map<string, string>();
  if (request.verbose)
    info.set(
      'config',
      JSON.stringify({ root: context.paths.root, state: context.paths.state, cgroupDriver: context.cgroupDriver }),
    );
  return StatusResponse.create({
    status: {
      conditions: [
        { type: 'RuntimeReady', status: true, reason: '', message: '' },
        { type: 'NetworkReady', status: network.ready, reason: network.reason, message: network.message },
      ],
    },
    info,
    runtimeHandlers: runtimeHandlers.map((name) => ({
      name,
      features: { recursiveReadOnlyMounts: true, userNamespaces: false },
    })),
    features: { supplementalGroupsPolicy: true, userNamespacesHostNetwork: false, mountOptions: false },
  });
}
