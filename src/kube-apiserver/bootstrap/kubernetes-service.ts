/** The service by which pods find the server, its endpoints, and the range all service addresses come from. Source: pkg/controlplane. */
import type { KubeObject } from '../object.ts';
import { firstAddress } from '../service-ip/range.ts';
import type { BootstrapConfig } from './bootstrap.ts';

const labels = { component: 'apiserver', provider: 'kubernetes' };

export function kubernetesService({
  advertiseAddress,
  advertisePort,
  serviceClusterIpRange,
}: BootstrapConfig): readonly {
  readonly object: KubeObject;
  readonly reconcile?: (current: KubeObject) => KubeObject;
}[] {
  const clusterIP = firstAddress(serviceClusterIpRange);
  const subsets = [
    { addresses: [{ ip: advertiseAddress }], ports: [{ name: 'https', port: advertisePort, protocol: 'TCP' }] },
  ];
  const endpoints = [{ addresses: [advertiseAddress], conditions: { ready: true } }];
  const ports = [{ name: 'https', port: advertisePort, protocol: 'TCP' }];
  return [
    {
      object: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'ServiceCIDR',
        metadata: { name: 'kubernetes', finalizers: ['networking.k8s.io/service-cidr-finalizer'] },
        spec: { cidrs: [serviceClusterIpRange] },
      },
    },
    {
      object: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'IPAddress',
        metadata: {
          name: clusterIP,
          labels: {
            'ipaddress.kubernetes.io/ip-family': 'IPv4',
            'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
          },
        },
        spec: { parentRef: { group: '', resource: 'services', namespace: 'default', name: 'kubernetes' } },
      },
    },
    {
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'kubernetes', namespace: 'default', labels },
        spec: {
          clusterIP,
          clusterIPs: [clusterIP],
          internalTrafficPolicy: 'Cluster',
          ipFamilies: ['IPv4'],
          ipFamilyPolicy: 'SingleStack',
          ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: advertisePort }],
          sessionAffinity: 'None',
          type: 'ClusterIP',
        },
        status: { loadBalancer: {} },
      },
    },
    {
      object: {
        apiVersion: 'v1',
        kind: 'Endpoints',
        metadata: {
          name: 'kubernetes',
          namespace: 'default',
          labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
        },
        subsets,
      },
      reconcile: (current) => ({ ...current, subsets }),
    },
    {
      object: {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
        addressType: 'IPv4',
        endpoints,
        ports,
      },
      reconcile: (current) => ({ ...current, endpoints, ports }),
    },
  ];
}
