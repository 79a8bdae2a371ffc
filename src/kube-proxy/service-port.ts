/**
 * From Services and EndpointSlices to what a node must do: for each address and port of a service, the endpoints that its
 * connections are spread over. Pure; knows nothing of nftables.
 * Which endpoints count: KEP-1669 (terminating), KEP-2086 (internal traffic policy).
 */

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** The fields of a Service that routing reads. */
export interface ServiceLike {
  readonly metadata?: { readonly namespace?: string; readonly name?: string };
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly internalTrafficPolicy?: string;
    readonly ports?: readonly {
      readonly name?: string;
      readonly protocol?: string;
      readonly port: number;
      readonly nodePort?: number;
    }[];
  };
}

/** The fields of an EndpointSlice that routing reads. */
export interface EndpointSliceLike {
  readonly metadata?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly addressType?: string;
  readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port?: number }[];
  readonly endpoints?: readonly {
    readonly addresses?: readonly string[];
    readonly nodeName?: string;
    readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  }[];
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** One port of one service. */
export interface ServicePort {
  /** `namespace/name:port`, the port's name or nothing after the colon. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** Cluster and external addresses, IPv4 and IPv6 mixed. */
  readonly addresses: readonly string[];
  readonly nodePort: number | undefined;
  /** Sorted, without duplicates; empty means connections are refused. */
  readonly endpoints: readonly Endpoint[];
}

const serviceNameLabel = 'kubernetes.io/service-name';

/** @param nodeName this node, for services whose internal traffic stays on it */
export function servicePorts(
  services: Iterable<ServiceLike>,
  slices: Iterable<EndpointSliceLike>,
  nodeName: string,
): ServicePort[] {
  const slicesByService = new Map<string, EndpointSliceLike[]>();
  for (const slice of slices) {
    const service = slice.metadata?.labels?.[serviceNameLabel];
    if (service === undefined || slice.addressType === 'FQDN') continue;
    const key = `${slice.metadata?.namespace ?? ''}/${service}`;
    const known = slicesByService.get(key);
    if (known === undefined) slicesByService.set(key, [slice]);
    else known.push(slice);
  }
  const ports: ServicePort[] = [];
  for (const service of services) {
    const addresses = virtualAddresses(service);
    if (addresses.length === 0) continue;
    const key = `${service.metadata?.namespace ?? ''}/${service.metadata?.name ?? ''}`;
    const own = slicesByService.get(key) ?? [];
    const onlyNode = service.spec?.internalTrafficPolicy === 'Local' ? nodeName : undefined;
    for (const port of service.spec?.ports ?? [])
      ports.push({
        name: `${key}:${port.name ?? ''}`,
        protocol: (port.protocol ?? 'TCP') as Protocol,
        port: port.port,
        addresses,
        nodePort: port.nodePort,
        endpoints: endpointsOf(own, port.name ?? '', (port.protocol ?? 'TCP') as Protocol, onlyNode),
      });
  }
  return ports.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Headless and ExternalName services have none: DNS alone serves them. */
function virtualAddresses(service: ServiceLike): string[] {
  const spec = service.spec;
  if (spec === undefined || spec.type === 'ExternalName') return [];
  const cluster = (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter((address) => address !== '' && address !== 'None');
  return cluster.length === 0 ? [] : [...cluster, ...(spec.externalIPs ?? [])];
}

/** Ready endpoints; when there are none, those that still serve while they terminate. */
function endpointsOf(
  slices: readonly EndpointSliceLike[],
  portName: string,
  protocol: Protocol,
  onlyNode: string | undefined,
): Endpoint[] {
  const ready = new Map<string, Endpoint>();
  const terminating = new Map<string, Endpoint>();
  for (const slice of slices) {
    const port = slice.ports?.find(
      (entry) => (entry.name ?? '') === portName && (entry.protocol ?? 'TCP') === protocol,
    )?.port;
    if (port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const address = endpoint.addresses?.[0];
      if (address === undefined) continue;
      if (onlyNode !== undefined && endpoint.nodeName !== onlyNode) continue;
      const isReady = endpoint.conditions?.ready ?? true;
      const isServing = endpoint.conditions?.serving ?? isReady;
      const isTerminating = endpoint.conditions?.terminating ?? false;
      if (isReady) ready.set(`${address}:${port}`, { address, port });
      else if (isServing && isTerminating) terminating.set(`${address}:${port}`, { address, port });
    }
  }
  const chosen = ready.size > 0 ? ready : terminating;
  return [...chosen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
