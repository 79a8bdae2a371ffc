/** DNS settings of a pod by its policy. Pure. https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/ */
import type { Pod } from './pod.ts';

export interface DnsSettings {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface DnsConfig {
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** What the node itself uses. */
  readonly host: DnsSettings;
}

const clusterOptions = ['ndots:5'];

export function podDns(pod: Pod, { clusterDns, clusterDomain, host }: DnsConfig): DnsSettings {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst';
  const clusterFirst = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !pod.spec.hostNetwork);
  let settings: DnsSettings;
  if (policy === 'None') settings = { servers: [], searches: [], options: [] };
  else if (clusterFirst && clusterDns.length > 0)
    settings = {
      servers: clusterDns,
      searches: unique([
        `${pod.metadata.namespace}.svc.${clusterDomain}`,
        `svc.${clusterDomain}`,
        clusterDomain,
        ...host.searches,
      ]),
      options: clusterOptions,
    };
  else settings = host;
  const extra = pod.spec.dnsConfig;
  if (extra === undefined) return settings;
  return {
    servers: unique([...settings.servers, ...(extra.nameservers ?? [])]),
    searches: unique([...settings.searches, ...(extra.searches ?? [])]),
    options: mergeOptions(settings.options, extra.options ?? []),
  };
}

const serversMax = 3;
const searchesMax = 32;
/** Longer ones make some resolvers abort. */
const searchLengthMax = 253;
const searchLineLengthMax = 2048;

/** What a resolver can take, and upstream's words about what was left out. */
export function withinDnsLimits(dns: DnsSettings): { readonly dns: DnsSettings; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const servers = dns.servers.slice(0, serversMax);
  const searches = dns.searches.slice(0, searchesMax).filter((search) => search.length <= searchLengthMax);
  while (searches.join(' ').length > searchLineLengthMax) searches.pop();
  if (servers.length < dns.servers.length)
    warnings.push(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${servers.join(' ')}`,
    );
  if (searches.length < dns.searches.length)
    warnings.push(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(' ')}`,
    );
  return { dns: { ...dns, servers, searches }, warnings };
}

/** Reads a resolv.conf. resolv.conf(5). */
export function parseResolvConf(text: string): DnsSettings {
  const servers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined) servers.push(values[0]);
    else if (keyword === 'search') searches = values.map((value) => (value === '.' ? value : value.replace(/\.$/, '')));
    else if (keyword === 'options') options = values;
  }
  return { servers, searches, options };
}

/** An option the pod names replaces the one it came with. */
function mergeOptions(
  options: readonly string[],
  extra: readonly { readonly name?: string; readonly value?: string }[],
): string[] {
  const merged = new Map(options.map((option) => [option.split(':')[0]!, option]));
  for (const { name, value } of extra)
    if (name !== undefined) merged.set(name, value === undefined ? name : `${name}:${value}`);
  return [...merged.values()];
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
