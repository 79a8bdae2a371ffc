/** Columns of services, endpoints, policies and of who may do what. */
import { type Columns, labels, orNone, selector } from './cells.ts';

interface Port {
  readonly port?: number;
  readonly nodePort?: number;
  readonly protocol?: string;
  readonly name?: string;
}

function external({
  spec = {},
  status = {},
}: {
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}): string {
  const ips = (spec['externalIPs'] as string[] | undefined) ?? [];
  switch (spec['type']) {
    case 'LoadBalancer': {
      const ingress =
        (status['loadBalancer'] as { ingress?: { ip?: string; hostname?: string }[] } | undefined)?.ingress ?? [];
      const all = [...ingress.map(({ ip, hostname }) => ip ?? hostname ?? ''), ...ips];
      return all.length > 0 ? all.join(',') : '<pending>';
    }
    case 'ExternalName':
      return String(spec['externalName'] ?? '');
    default:
      return orNone(ips.join(','));
  }
}

const listed = 3;

function some(items: readonly string[]): string {
  if (items.length === 0) return '<none>';
  return items.length > listed
    ? `${items.slice(0, listed).join(',')} + ${items.length - listed} more...`
    : items.join(',');
}

interface Subset {
  readonly addresses?: readonly { readonly ip: string }[];
  readonly ports?: readonly Port[];
}

export const networkPrinters: Readonly<Record<string, Columns>> = {
  Service: {
    columns: ['Name', 'Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age:date', '+Selector'],
    row: ({ name, age }, service) => [
      name,
      service.spec?.type ?? '',
      orNone(service.spec?.clusterIP),
      external(service),
      orNone(
        ((service.spec?.ports ?? []) as Port[])
          .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`)
          .join(','),
      ),
      age,
      labels(service.spec?.selector),
    ],
  },
  Endpoints: {
    columns: ['Name', 'Endpoints', 'Age:date'],
    row: ({ name, age }, { subsets = [] }) => [
      name,
      some(
        (subsets as Subset[]).flatMap(({ addresses = [], ports = [] }) =>
          ports.length === 0
            ? addresses.map(({ ip }) => ip)
            : ports.flatMap(({ port }) => addresses.map(({ ip }) => `${ip}:${port}`)),
        ),
      ),
      age,
    ],
  },
  'EndpointSlice.discovery.k8s.io': {
    columns: ['Name', 'AddressType', 'Ports', 'Endpoints', 'Age:date'],
    row: ({ name, age }, { addressType, ports, endpoints }) => [
      name,
      addressType ?? '',
      ports?.length ? some((ports as Port[]).map(({ port }) => (port === undefined ? '*' : String(port)))) : '<unset>',
      endpoints?.length
        ? some((endpoints as { addresses: string[] }[]).flatMap(({ addresses }) => addresses))
        : '<unset>',
      age,
    ],
  },
  'Ingress.networking.k8s.io': {
    columns: ['Name', 'Class', 'Hosts', 'Address', 'Ports', 'Age:date'],
    row: ({ name, age }, { spec = {}, status = {} }) => {
      const hosts = ((spec.rules ?? []) as { host?: string }[])
        .map(({ host }) => host ?? '')
        .filter((host) => host !== '');
      const ingress = (status.loadBalancer?.ingress ?? []) as { ip?: string; hostname?: string }[];
      return [
        name,
        orNone(spec.ingressClassName),
        hosts.length === 0 ? '*' : some(hosts),
        ingress.map(({ ip, hostname }) => ip ?? hostname ?? '').join(','),
        spec.tls?.length ? '80, 443' : '80',
        age,
      ];
    },
  },
  'IngressClass.networking.k8s.io': {
    columns: ['Name', 'Controller', 'Parameters', 'Age:date'],
    row: ({ name, age }, { spec = {} }) => {
      const { kind, name: target, apiGroup } = spec.parameters ?? {};
      return [name, spec.controller ?? '', kind ? `${kind}${apiGroup ? `.${apiGroup}` : ''}/${target}` : '<none>', age];
    },
  },
  'NetworkPolicy.networking.k8s.io': {
    columns: ['Name', 'Pod-Selector', 'Age:date'],
    row: ({ name, age }, { spec }) => [name, selector(spec?.podSelector), age],
  },
  'IPAddress.networking.k8s.io': {
    columns: ['Name', 'ParentRef', 'Age:date'],
    row: ({ name, age }, { spec }) => {
      const { group, resource, namespace, name: target } = spec?.parentRef ?? {};
      return [
        name,
        [resource, ...(group ? [group] : [])].join('.').concat(`/${namespace ? `${namespace}/` : ''}${target}`),
        age,
      ];
    },
  },
  'ServiceCIDR.networking.k8s.io': {
    columns: ['Name', 'CIDRs', 'Age:date'],
    row: ({ name, age }, { spec }) => [name, (spec?.cidrs ?? []).join(','), age],
  },
  'RoleBinding.rbac.authorization.k8s.io': bindings(),
  'ClusterRoleBinding.rbac.authorization.k8s.io': bindings(),
  'Role.rbac.authorization.k8s.io': {
    columns: ['Name', 'Created At:date'],
    row: ({ name }, { metadata }) => [name, metadata.creationTimestamp ?? ''],
  },
  'ClusterRole.rbac.authorization.k8s.io': {
    columns: ['Name', 'Created At:date'],
    row: ({ name }, { metadata }) => [name, metadata.creationTimestamp ?? ''],
  },
  'StorageClass.storage.k8s.io': {
    columns: ['Name', 'Provisioner', 'ReclaimPolicy', 'VolumeBindingMode', 'AllowVolumeExpansion', 'Age:date'],
    row: ({ name, age }, { metadata, provisioner, reclaimPolicy, volumeBindingMode, allowVolumeExpansion }) => [
      metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true' ? `${name} (default)` : name,
      provisioner ?? '',
      reclaimPolicy ?? '',
      volumeBindingMode ?? '',
      allowVolumeExpansion ?? false,
      age,
    ],
  },
};

function bindings(): Columns {
  const named = (subjects: { kind: string; name: string; namespace?: string }[], kind: string) =>
    subjects
      .filter((subject) => subject.kind === kind)
      .map(({ name, namespace }) => (namespace ? `${namespace}/${name}` : name))
      .join(', ');
  return {
    columns: ['Name', 'Role', 'Age:date', '+Users', '+Groups', '+ServiceAccounts'],
    row: ({ name, age }, { roleRef, subjects = [] }) => [
      name,
      `${roleRef?.kind}/${roleRef?.name}`,
      age,
      named(subjects, 'User'),
      named(subjects, 'Group'),
      named(subjects, 'ServiceAccount'),
    ],
  };
}
