/** Defaults of services; addresses are another matter (`service-ip/`). Source: pkg/apis/core/v1/defaults.go. */
import type { KubeObject } from '../object.ts';
import { underZero } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;

export function defaultService(service: KubeObject): KubeObject {
  const given = underZero({ sessionAffinity: 'None', type: 'ClusterIP' }, service['spec']) as Fields;
  const { sessionAffinityConfig, ...spec } = given;
  const type = spec['type'];
  const addresses = (spec['externalIPs'] ?? []) as readonly string[];
  const external = type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && addresses.length > 0);
  const ports = spec['ports'];
  return {
    ...service,
    spec: {
      ...spec,
      ...(Array.isArray(ports) && {
        ports: ports.map((port: Fields) => underZero({ protocol: 'TCP', targetPort: port['port'] }, port)),
      }),
      ...affinity(spec['sessionAffinity'], sessionAffinityConfig),
      ...(type !== 'ExternalName' && { internalTrafficPolicy: spec['internalTrafficPolicy'] ?? 'Cluster' }),
      ...(external && { externalTrafficPolicy: spec['externalTrafficPolicy'] || 'Cluster' }),
      ...(type === 'LoadBalancer' && {
        allocateLoadBalancerNodePorts: spec['allocateLoadBalancerNodePorts'] ?? true,
      }),
    },
  };
}

/** Without affinity its configuration goes. With it, one that does not say how long is replaced as a whole. */
function affinity(kind: unknown, config: unknown): Fields {
  if (kind === 'None') return {};
  const clientIP = (config as Fields | undefined)?.['clientIP'] as Fields | undefined;
  if (kind === 'ClientIP' && clientIP?.['timeoutSeconds'] === undefined)
    return { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } } };
  return config === undefined ? {} : { sessionAffinityConfig: config };
}
