/** PodSandboxStatus: a pod's state, addresses and, when asked, what only this runtime knows. */
import {
  PodSandboxState,
  type PodSandboxStatus,
  type PodSandboxStatusRequest,
  PodSandboxStatusResponse,
} from '#api-cri/gen/api.ts';
import { containerStatusOf } from './container-status.ts';
import { type CriContext, nowNs } from './context.ts';
import type { Sandbox } from './sandbox-store.ts';

export function podSandboxStatus(context: CriContext, request: PodSandboxStatusRequest): PodSandboxStatusResponse {
  const sandbox = context.sandboxes.require(request.podSandboxId);
  const info = new Map<string, string>();
  if (request.verbose)
    info.set(
      'info',
      JSON.stringify({
        pid: 0,
        hostname: sandbox.hostname,
        namespaces: sandbox.namespaces,
        pauseId: sandbox.pauseId,
        runtimeHandler: sandbox.runtimeHandler,
      }),
    );
  return PodSandboxStatusResponse.create({
    status: sandboxStatusOf(sandbox),
    info,
    // With them the kubelet knows a pod from one call (evented PLEG); the timestamp says how old that is.
    containersStatuses: context.events.subscribed
      ? context.containers.ofSandbox(sandbox.id).map(containerStatusOf)
      : [],
    timestamp: nowNs(context.clock),
  });
}

export function sandboxStatusOf(sandbox: Sandbox): PodSandboxStatus {
  const { config } = sandbox;
  const [primary = '', ...others] = sandbox.ready ? sandbox.ips : [];
  return {
    id: sandbox.id,
    metadata: config.metadata,
    state: sandboxState(sandbox),
    createdAt: sandbox.createdAt,
    network: { ip: primary, additionalIps: others.map((ip) => ({ ip })) },
    linux: { namespaces: { options: config.linux?.securityContext?.namespaceOptions } },
    labels: config.labels,
    annotations: config.annotations,
    runtimeHandler: sandbox.runtimeHandler,
  };
}

export function sandboxState(sandbox: Sandbox): PodSandboxState {
  return sandbox.ready ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY;
}
