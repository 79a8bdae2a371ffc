/** Objects that a cluster has from the start, besides what the apiserver itself makes: the DNS service and where it is answered. */
import type { KubeClient } from '#kube-client/client.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { StatusError } from '#kube-machinery/status.ts';

const services: ResourceRef = { group: '', version: 'v1', resource: 'services', kind: 'Service', namespaced: true };
const slices: ResourceRef = {
  group: 'discovery.k8s.io',
  version: 'v1',
  resource: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};
const namespace = 'kube-system';
const labels = { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' };

export interface DnsAddon {
  /** The service's address. */
  readonly clusterIp: string;
  /** Where the server listens, on the node. */
  readonly serverIp: string;
  readonly port: number;
}

export async function ensureDnsService(client: KubeClient, { clusterIp, serverIp, port }: DnsAddon): Promise<void> {
  const ports = (['UDP', 'TCP'] as const).map((protocol) => ({
    name: protocol === 'UDP' ? 'dns' : 'dns-tcp',
    protocol,
    port: 53,
    targetPort: port,
  }));
  await ensure(client, services, {
    metadata: { name: 'kube-dns', namespace, labels },
    spec: { clusterIP: clusterIp, ports },
  });
  await ensure(
    client,
    slices,
    {
      metadata: {
        name: 'kube-dns',
        namespace,
        labels: { 'kubernetes.io/service-name': 'kube-dns', 'endpointslice.kubernetes.io/managed-by': 'wherry' },
      },
      addressType: 'IPv4',
      endpoints: [{ addresses: [serverIp], conditions: { ready: true } }],
      ports: ports.map(({ name, protocol }) => ({ name, protocol, port })),
    },
    { endpoints: [{ addresses: [serverIp], conditions: { ready: true } }] },
  );
}

/** @param current what an object that is there must say */
async function ensure(
  client: KubeClient,
  ref: ResourceRef,
  object: ApiObject & Readonly<Record<string, unknown>>,
  current?: object,
): Promise<void> {
  const resource = client.resource<ApiObject>(ref, namespace);
  try {
    await resource.get(object.metadata.name, { resourceVersion: '0' });
  } catch (error) {
    if (!(error instanceof StatusError && error.code === 404)) throw error;
    await resource.create(object);
    return;
  }
  if (current !== undefined) await resource.patch(object.metadata.name, 'merge', current);
}
