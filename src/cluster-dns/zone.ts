/**
 * The names of a cluster, computed from Services and EndpointSlices: the Kubernetes DNS specification 1.1.0
 * (github.com/kubernetes/dns, docs/specification.md). Pure; answering questions is `answer.ts`.
 */

export interface ServiceLike {
  readonly metadata?: { readonly namespace?: string; readonly name?: string };
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalName?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port: number }[];
  };
}

export interface EndpointSliceLike {
  readonly metadata?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly addressType?: string;
  readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port?: number }[];
  readonly endpoints?: readonly {
    readonly addresses?: readonly string[];
    readonly hostname?: string;
    readonly conditions?: { readonly ready?: boolean };
  }[];
}

export type ZoneRecord =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME'; readonly target: string }
  | { readonly type: 'SRV'; readonly port: number; readonly target: string }
  | { readonly type: 'PTR'; readonly target: string }
  | { readonly type: 'TXT'; readonly text: string };

/** Records by lower-case name without the last dot. A name with an empty list exists and has none of its own. */
export type Zone = ReadonlyMap<string, readonly ZoneRecord[]>;

const specificationVersion = '1.1.0';
const serviceNameLabel = 'kubernetes.io/service-name';

export function buildZone(domain: string, services: Iterable<ServiceLike>, slices: Iterable<EndpointSliceLike>): Zone {
  const zone = new Map<string, ZoneRecord[]>();
  const add = (name: string, record: ZoneRecord) => {
    const records = zone.get(name);
    if (records === undefined) zone.set(name, [record]);
    else if (!records.some((known) => JSON.stringify(known) === JSON.stringify(record))) records.push(record);
  };
  add(`dns-version.${domain}`, { type: 'TXT', text: specificationVersion });
  const slicesByService = groupSlices(slices);
  for (const { metadata, spec } of services) {
    const name = `${metadata?.name}.${metadata?.namespace}.svc.${domain}`;
    if (spec?.type === 'ExternalName') {
      if (spec.externalName !== undefined) add(name, { type: 'CNAME', target: spec.externalName });
      continue;
    }
    const clusterIps = (spec?.clusterIPs ?? [spec?.clusterIP ?? '']).filter((ip) => ip !== '' && ip !== 'None');
    if (clusterIps.length > 0) {
      for (const ip of clusterIps) {
        add(name, addressRecord(ip));
        add(reverseName(ip), { type: 'PTR', target: name });
      }
      for (const port of spec?.ports ?? [])
        if (port.name) add(serviceName(port, name), { type: 'SRV', port: port.port, target: name });
    } else
      addHeadless(
        add,
        name,
        slicesByService.get(`${metadata?.namespace}/${metadata?.name}`) ?? [],
        spec?.publishNotReadyAddresses === true,
      );
  }
  // Names between the apex and a record exist too: they answer without records, not with "no such name".
  for (const name of [...zone.keys()])
    for (let parent = parentOf(name); parent !== undefined && parent.length >= domain.length; parent = parentOf(parent))
      if (!zone.has(parent)) zone.set(parent, []);
  return zone;
}

/** A headless service is its ready endpoints, each with a name of its own. */
function addHeadless(
  add: (name: string, record: ZoneRecord) => void,
  name: string,
  slices: readonly EndpointSliceLike[],
  all: boolean,
): void {
  for (const slice of slices)
    for (const endpoint of slice.endpoints ?? []) {
      if (!all && endpoint.conditions?.ready === false) continue;
      for (const ip of endpoint.addresses ?? []) {
        const own = `${(endpoint.hostname ?? ip.replaceAll(/[.:]/g, '-')).toLowerCase()}.${name}`;
        add(name, addressRecord(ip));
        add(own, addressRecord(ip));
        if (endpoint.hostname !== undefined) add(reverseName(ip), { type: 'PTR', target: own });
        for (const port of slice.ports ?? [])
          if (port.name && port.port !== undefined)
            add(serviceName(port, name), { type: 'SRV', port: port.port, target: own });
      }
    }
}

function groupSlices(slices: Iterable<EndpointSliceLike>): Map<string, EndpointSliceLike[]> {
  const grouped = new Map<string, EndpointSliceLike[]>();
  for (const slice of slices) {
    const service = slice.metadata?.labels?.[serviceNameLabel];
    if (service === undefined || slice.addressType === 'FQDN') continue;
    const key = `${slice.metadata?.namespace}/${service}`;
    const known = grouped.get(key);
    if (known === undefined) grouped.set(key, [slice]);
    else known.push(slice);
  }
  return grouped;
}

function serviceName(port: { readonly name?: string; readonly protocol?: string }, service: string): string {
  return `_${port.name}._${(port.protocol ?? 'TCP').toLowerCase()}.${service}`;
}

function addressRecord(ip: string): ZoneRecord {
  return { type: ip.includes(':') ? 'AAAA' : 'A', address: ip };
}

function parentOf(name: string): string | undefined {
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : name.slice(dot + 1);
}

/** The name that a reverse lookup asks for. RFC 1035 section 3.5, RFC 3596. */
export function reverseName(ip: string): string {
  if (!ip.includes(':')) return `${ip.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head = '', tail = ''] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const groups = ip.includes('::')
    ? [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right]
    : left;
  const digits = groups.map((group) => group.padStart(4, '0')).join('');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
