/** Which pods stand behind a Service and on which ports. Pure; shared by the EndpointSlice and the Endpoints controller. */
import type { Pod, Service, ServicePort } from '#kube-client/types/core.ts';
import { isPodReady } from '../pods/pod-state.ts';

export interface BackendPort {
  readonly name?: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

/** May a pod be listed at all? Finished pods and those without an address may not. */
export function isBackend({ status, metadata }: Pod, includeTerminating: boolean): boolean {
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return false;
  if ((status?.podIP ?? '') === '' && (status?.podIPs ?? []).length === 0) return false;
  return includeTerminating || metadata.deletionTimestamp === undefined;
}

/** A Service's ports as one pod has them: a named target may be another number in every pod, or missing. */
export function backendPorts({ spec }: Service, pod: Pod): BackendPort[] {
  const ports: BackendPort[] = [];
  for (const servicePort of spec?.ports ?? []) {
    const port = targetPort(servicePort, pod);
    if (port === undefined) continue;
    ports.push({
      ...(servicePort.name !== undefined && { name: servicePort.name }),
      port,
      protocol: servicePort.protocol ?? 'TCP',
      ...(servicePort.appProtocol !== undefined && { appProtocol: servicePort.appProtocol }),
    });
  }
  return ports;
}

function targetPort({ targetPort: target, port, protocol = 'TCP' }: ServicePort, { spec }: Pod): number | undefined {
  if (target === undefined || target === 0 || target === '') return port;
  if (typeof target === 'number') return target;
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  for (const { ports = [] } of [...spec.containers, ...sidecars])
    for (const candidate of ports)
      if (candidate.name === target && (candidate.protocol ?? 'TCP') === protocol) return candidate.containerPort;
  return undefined;
}

/** The pod's name inside the Service's domain, when it asked for one. */
export function hostnameOf({ spec, metadata }: Pod, service: Service): string | undefined {
  return spec.hostname && spec.subdomain === service.metadata.name && metadata.namespace === service.metadata.namespace
    ? spec.hostname
    : undefined;
}

/** True when what the lists say about a pod may be different now. */
export function backendChanged(before: Pod, after: Pod): boolean {
  return (
    before.status?.phase !== after.status?.phase ||
    before.status?.podIP !== after.status?.podIP ||
    JSON.stringify(before.status?.podIPs) !== JSON.stringify(after.status?.podIPs) ||
    before.spec.nodeName !== after.spec.nodeName ||
    before.metadata.deletionTimestamp !== after.metadata.deletionTimestamp ||
    isPodReady(before) !== isPodReady(after) ||
    JSON.stringify(before.metadata.labels) !== JSON.stringify(after.metadata.labels)
  );
}

export const headlessLabel = 'service.kubernetes.io/headless';
export const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

export function isHeadless({ spec }: Service): boolean {
  return spec?.clusterIP === 'None';
}
