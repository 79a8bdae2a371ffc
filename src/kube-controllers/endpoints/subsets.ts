/** The subsets of an Endpoints object: addresses that share their ports stand together. Pure. */
import type { EndpointAddress, EndpointPort, EndpointSubset, Pod, Service } from '#kube-client/types/core.ts';
import { backendPorts, hostnameOf, isBackend, isHeadless } from '../endpointslice/backends.ts';
import { portsKey } from '../endpointslice/reconcile.ts';
import { compareText, isPodReady } from '../pods/pod-state.ts';

/** Addresses of one object; more are cut off, and an annotation says so. */
export const addressesMax = 1000;

export function subsetsOf(
  service: Service,
  pods: readonly Pod[],
): { readonly subsets: readonly EndpointSubset[]; readonly truncated: boolean } {
  const publish = service.spec?.publishNotReadyAddresses === true;
  const groups = new Map<string, { ports: EndpointPort[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }>();
  let count = 0;
  let truncated = false;
  const sorted = [...pods].sort((a, b) => compareText(a.metadata.name, b.metadata.name));
  for (const pod of sorted) {
    if (!isBackend(pod, publish)) continue;
    const ip = pod.status!.podIP ?? pod.status!.podIPs![0]!.ip;
    const ports = backendPorts(service, pod);
    if (ports.length === 0 && !((service.spec?.ports ?? []).length === 0 && isHeadless(service))) continue;
    if (count++ >= addressesMax) {
      truncated = true;
      break;
    }
    const key = portsKey(ports);
    let group = groups.get(key);
    if (group === undefined) {
      group = { ports: [...ports].sort((a, b) => compareText(a.name ?? '', b.name ?? '')), ready: [], notReady: [] };
      groups.set(key, group);
    }
    const hostname = hostnameOf(pod, service);
    (publish || isPodReady(pod) ? group.ready : group.notReady).push({
      ip,
      ...(hostname !== undefined && { hostname }),
      ...(pod.spec.nodeName !== undefined && { nodeName: pod.spec.nodeName }),
      targetRef: {
        kind: 'Pod',
        ...(pod.metadata.namespace !== undefined && { namespace: pod.metadata.namespace }),
        name: pod.metadata.name,
        ...(pod.metadata.uid !== undefined && { uid: pod.metadata.uid }),
      },
    });
  }
  const byIp = (a: EndpointAddress, b: EndpointAddress) => compareText(a.ip, b.ip);
  const subsets = [...groups.entries()]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, { ports, ready, notReady }]) => ({
      ...(ready.length > 0 && { addresses: ready.sort(byIp) }),
      ...(notReady.length > 0 && { notReadyAddresses: notReady.sort(byIp) }),
      ...(ports.length > 0 && { ports }),
    }));
  return { subsets, truncated };
}
