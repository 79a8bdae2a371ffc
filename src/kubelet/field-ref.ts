/** The downward API's fields of a pod, for variables and volumes. Pure. */
import type { Pod } from './pod.ts';

export interface FieldSources {
  readonly hostIp: string;
  readonly podIps: readonly string[];
}

/** Text of a field path such as `metadata.labels['app']`; undefined when the path is not one the downward API serves. */
export function fieldValue(pod: Pod, path: string, sources: FieldSources): string | undefined {
  const subscript = /^metadata\.(annotations|labels)\['(.+)'\]$/.exec(path);
  if (subscript !== null) return pod.metadata[subscript[1] as 'annotations' | 'labels']?.[subscript[2]!] ?? '';
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace;
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'metadata.labels':
      return formatMap(pod.metadata.labels);
    case 'metadata.annotations':
      return formatMap(pod.metadata.annotations);
    case 'spec.nodeName':
      return pod.spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.hostIP':
      return sources.hostIp;
    case 'status.hostIPs':
      return sources.hostIp;
    case 'status.podIP':
      return sources.podIps[0] ?? '';
    case 'status.podIPs':
      return sources.podIps.join(',');
    default:
      return undefined;
  }
}

/** One `key="value"` a line, sorted, values quoted as Go's %q does. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map((key) => `${key}=${JSON.stringify(map![key])}`)
    .join('\n');
}
