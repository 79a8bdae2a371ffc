/**
 * The EndpointSlices a Service should have against those it has: as few writes as possible, at most 100 endpoints a slice. Pure.
 */
import type { Node, Pod, Service } from '#kube-client/types/core.ts';
import type { Endpoint, EndpointSlice } from '#kube-client/types/discovery.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { controllerReference } from '../pods/controller-ref.ts';
import { compareText, isPodReady } from '../pods/pod-state.ts';
import { type BackendPort, backendPorts, headlessLabel, hostnameOf, isBackend, isHeadless } from './backends.ts';

export const endpointsPerSliceMax = 100;
export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const controllerName = 'endpointslice-controller.k8s.io';
const zoneLabel = 'topology.kubernetes.io/zone';

export interface SliceChanges {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/** @param existing the Service's slices that this controller manages */
export function reconcileSlices(options: {
  readonly service: Service;
  readonly pods: readonly Pod[];
  readonly nodeOf: (name: string) => Node | undefined;
  readonly existing: readonly EndpointSlice[];
}): SliceChanges {
  const { service, pods, nodeOf, existing } = options;
  const create: EndpointSlice[] = [];
  const update: EndpointSlice[] = [];
  const types = addressTypes(service);
  const remove = existing.filter(({ addressType }) => !types.includes(addressType));
  for (const addressType of types) {
    const wanted = desired(service, pods, nodeOf, addressType);
    const held = existing.filter((slice) => slice.addressType === addressType);
    const used = new Set<EndpointSlice>();
    for (const { ports, endpoints } of wanted.values()) {
      const same = held.filter((slice) => portsKey(slice.ports ?? []) === portsKey(ports));
      for (const slice of same) used.add(slice);
      const { kept, created, dropped } = fill(service, addressType, ports, endpoints, same);
      update.push(...kept);
      create.push(...created);
      remove.push(...dropped);
    }
    const rest = held.filter((slice) => !used.has(slice));
    if (wanted.size > 0) {
      remove.push(...rest);
      continue;
    }
    // A Service without backends has one empty slice: that tells "none" from "not looked yet".
    const [first, ...others] = rest;
    remove.push(...others);
    const placeholder = sliceOf(service, addressType, [], []);
    if (first === undefined) create.push(placeholder);
    else if (!isSame(first, placeholder)) update.push(merged(first, placeholder));
  }
  return { create, update, remove };
}

function addressTypes({ spec }: Service): string[] {
  const families = spec?.ipFamilies ?? [];
  return families.length === 0 ? ['IPv4'] : families.map(String);
}

function desired(
  service: Service,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
  addressType: string,
): Map<string, { ports: BackendPort[]; endpoints: Endpoint[] }> {
  const groups = new Map<string, { ports: BackendPort[]; endpoints: Endpoint[] }>();
  for (const pod of pods) {
    if (!isBackend(pod, true)) continue;
    const ports = backendPorts(service, pod);
    // Only a headless Service may do without ports.
    if (ports.length === 0 && !((service.spec?.ports ?? []).length === 0 && isHeadless(service))) continue;
    const endpoint = endpointOf(service, pod, nodeOf, addressType);
    if (endpoint === undefined) continue;
    const key = portsKey(ports);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ports, endpoints: [endpoint] });
    else group.endpoints.push(endpoint);
  }
  return groups;
}

function endpointOf(
  service: Service,
  pod: Pod,
  nodeOf: (name: string) => Node | undefined,
  addressType: string,
): Endpoint | undefined {
  const addresses = (pod.status?.podIPs ?? [{ ip: pod.status!.podIP! }]).map(({ ip }) => ip);
  const address = addresses.find((ip) => ip.includes(':') === (addressType === 'IPv6'));
  if (address === undefined) return undefined;
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const hostname = hostnameOf(pod, service);
  const { nodeName } = pod.spec;
  const zone = nodeName === undefined ? undefined : nodeOf(nodeName)?.metadata.labels?.[zoneLabel];
  return {
    addresses: [address],
    conditions: {
      ready: service.spec?.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(hostname !== undefined && { hostname }),
    targetRef: {
      kind: 'Pod',
      ...(pod.metadata.namespace !== undefined && { namespace: pod.metadata.namespace }),
      name: pod.metadata.name,
      ...(pod.metadata.uid !== undefined && { uid: pod.metadata.uid }),
    },
    ...(nodeName !== undefined && nodeName !== '' && { nodeName }),
    ...(zone !== undefined && { zone }),
  };
}

/** Puts endpoints into slices: where they are already, then where there is room, then into new ones. */
function fill(
  service: Service,
  addressType: string,
  ports: readonly BackendPort[],
  endpoints: readonly Endpoint[],
  slices: readonly EndpointSlice[],
): { readonly kept: EndpointSlice[]; readonly created: EndpointSlice[]; readonly dropped: EndpointSlice[] } {
  const pending = new Map(endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const next = slices.map((slice) => {
    const held: Endpoint[] = [];
    for (const endpoint of slice.endpoints ?? []) {
      const wanted = pending.get(identity(endpoint));
      if (wanted === undefined) continue;
      pending.delete(identity(endpoint));
      held.push(wanted);
    }
    return { slice, held };
  });
  const rest = [...pending.values()];
  // Fullest first, and only slices that change anyhow or can take all that is left: fewer writes, fewer slices.
  for (const entry of [...next].sort((a, b) => b.held.length - a.held.length)) {
    if (rest.length === 0) break;
    const room = endpointsPerSliceMax - entry.held.length;
    if (room > 0 && entry.held.length > 0) entry.held.push(...rest.splice(0, room));
  }
  for (const entry of next)
    if (rest.length > 0 && entry.held.length === 0) entry.held.push(...rest.splice(0, endpointsPerSliceMax));
  const created: EndpointSlice[] = [];
  while (rest.length > 0) created.push(sliceOf(service, addressType, ports, rest.splice(0, endpointsPerSliceMax)));
  const kept: EndpointSlice[] = [];
  const dropped: EndpointSlice[] = [];
  for (const { slice, held } of next) {
    if (held.length === 0) {
      dropped.push(slice);
      continue;
    }
    const wanted = sliceOf(service, addressType, ports, held);
    if (!isSame(slice, wanted)) kept.push(merged(slice, wanted));
  }
  return { kept, created, dropped };
}

function identity({ targetRef, addresses }: Endpoint): string {
  return `${targetRef?.uid ?? ''} ${addresses[0]}`;
}

function sliceOf(
  service: Service,
  addressType: string,
  ports: readonly BackendPort[],
  endpoints: readonly Endpoint[],
): EndpointSlice {
  const { name, namespace, labels } = service.metadata;
  return {
    metadata: {
      name: '',
      generateName: `${name}-`,
      ...(namespace !== undefined && { namespace }),
      labels: {
        ...labels,
        ...(isHeadless(service) && { [headlessLabel]: '' }),
        [serviceNameLabel]: name,
        [managedByLabel]: controllerName,
      },
      ownerReferences: [controllerReference(service, 'v1', 'Service')],
    },
    addressType,
    endpoints,
    ports: ports.map(({ name: portName = '', ...port }) => ({ name: portName, ...port })),
  };
}

function isSame(slice: EndpointSlice, wanted: EndpointSlice): boolean {
  return (
    equal(slice.metadata.labels ?? {}, wanted.metadata.labels) &&
    equal(slice.endpoints ?? [], wanted.endpoints) &&
    portsKey(slice.ports ?? []) === portsKey(wanted.ports ?? [])
  );
}

function merged(slice: EndpointSlice, wanted: EndpointSlice): EndpointSlice {
  return {
    ...slice,
    metadata: { ...slice.metadata, labels: wanted.metadata.labels! },
    endpoints: wanted.endpoints!,
    ports: wanted.ports!,
  };
}

/** Ports as one text, whatever their order. */
export function portsKey(
  ports: readonly {
    readonly name?: string;
    readonly port?: number;
    readonly protocol?: string;
    readonly appProtocol?: string;
  }[],
): string {
  return ports
    .map(({ name = '', port, protocol = 'TCP', appProtocol = '' }) => `${name}|${port}|${protocol}|${appProtocol}`)
    .sort(compareText)
    .join(';');
}
