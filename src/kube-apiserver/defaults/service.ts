/** Defaults of services; addresses are another matter (`service-ip/`). Source: pkg/apis/core/v1/defaults.go. */
import type { KubeObject } from '../object.ts';
import { under } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;

export function defaultService(service: KubeObject): KubeObject {
  const spec = under({ sessionAffinity: 'None', type: 'ClusterIP' }, service['spec']) as Fields;
  const type = spec['type'];
  const addresses = (spec['externalIPs'] ?? []) as readonly string[];
  const external = type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && addresses.length > 0);
  const ports = spec['ports'];
  return {
    ...service,
    spec: {
      ...spec,
      ...(Array.isArray(ports) && {
        ports: ports.map((port: Fields) => under({ protocol: 'TCP', targetPort: port['port'] }, port)),
      }),
      ...(spec['sessionAffinity'] === 'ClientIP' && {
        sessionAffinityConfig: under({ clientIP: { timeoutSeconds: 10800 } }, spec['sessionAffinityConfig']),
      }),
      ...(type !== 'ExternalName' && { internalTrafficPolicy: spec['internalTrafficPolicy'] ?? 'Cluster' }),
      ...(external && { externalTrafficPolicy: spec['externalTrafficPolicy'] ?? 'Cluster' }),
      ...(type === 'LoadBalancer' && {
        allocateLoadBalancerNodePorts: spec['allocateLoadBalancerNodePorts'] ?? true,
      }),
    },
  };
}
