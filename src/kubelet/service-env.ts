/**
 * Variables that tell a container where services are: `HELLO_SERVICE_HOST` and the Docker-link names. Pure.
 * Services of the pod's own namespace when it wants links, and the API's own always.
 */

interface ServiceLike {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly spec?: {
    readonly clusterIP?: string;
    readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port: number }[];
  };
}

export function serviceEnv(services: Iterable<ServiceLike>, namespace: string, links: boolean): Map<string, string> {
  const result = new Map<string, string>();
  const chosen = [...services]
    .filter(({ metadata, spec }) => {
      if (spec?.clusterIP === undefined || spec.clusterIP === '' || spec.clusterIP === 'None') return false;
      if (metadata?.namespace === 'default' && metadata.name === 'kubernetes') return true;
      return links && metadata?.namespace === namespace;
    })
    .sort((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  for (const { metadata, spec } of chosen) {
    const [first] = spec?.ports ?? [];
    const host = spec?.clusterIP;
    if (first === undefined || host === undefined) continue;
    const prefix = variableName(metadata?.name ?? '');
    result.set(`${prefix}_SERVICE_HOST`, host);
    result.set(`${prefix}_SERVICE_PORT`, String(first.port));
    for (const port of spec?.ports ?? [])
      if (port.name) result.set(`${prefix}_SERVICE_PORT_${variableName(port.name)}`, String(port.port));
    for (const [i, port] of (spec?.ports ?? []).entries()) {
      const protocol = (port.protocol ?? 'TCP').toLowerCase();
      const url = `${protocol}://${host.includes(':') ? `[${host}]` : host}:${port.port}`;
      const portPrefix = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
      if (i === 0) result.set(`${prefix}_PORT`, url);
      result.set(portPrefix, url);
      result.set(`${portPrefix}_PROTO`, protocol);
      result.set(`${portPrefix}_PORT`, String(port.port));
      result.set(`${portPrefix}_ADDR`, host);
    }
  }
  return result;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}
