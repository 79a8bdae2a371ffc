/**
 * A service that changes its type: what only the old type may have, and the client merely sent back, goes by itself. What the client
 * changed stays, and validation refuses it. Source: dropTypeDependentFields of pkg/registry/core/service.
 */
import { equal } from '#kube-machinery/json-patch.ts';

type Fields = Readonly<Record<string, unknown>>;

const hasAddress = ({ type }: Fields) => type !== 'ExternalName';
const hasNodePorts = ({ type }: Fields) => type === 'NodePort' || type === 'LoadBalancer';
const isBalanced = ({ type }: Fields) => type === 'LoadBalancer';
const isReachable = (spec: Fields) =>
  hasNodePorts(spec) || (spec['type'] === 'ClusterIP' && ((spec['externalIPs'] ?? []) as unknown[]).length > 0);
const needsHealthPort = (spec: Fields) => isBalanced(spec) && spec['externalTrafficPolicy'] === 'Local';

const dependent: readonly { readonly fields: readonly string[]; readonly may: (spec: Fields) => boolean }[] = [
  { fields: ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'], may: hasAddress },
  { fields: ['healthCheckNodePort'], may: needsHealthPort },
  { fields: ['externalTrafficPolicy'], may: isReachable },
  { fields: ['loadBalancerClass', 'allocateLoadBalancerNodePorts'], may: isBalanced },
];

export function withoutTypeDependent(spec: Fields, before: Fields): Fields {
  let next: Record<string, unknown> = { ...spec };
  for (const { fields, may } of dependent) {
    if (!may(before) || may(spec)) continue;
    for (const field of fields) if (equal(spec[field], before[field])) delete next[field];
  }
  const numbers = (ports: unknown) => ((ports ?? []) as Fields[]).map(({ nodePort }) => nodePort ?? 0);
  if (hasNodePorts(before) && !hasNodePorts(spec) && equal(numbers(spec['ports']), numbers(before['ports'])))
    next = { ...next, ports: ((spec['ports'] ?? []) as Fields[]).map(({ nodePort: _, ...port }) => port) };
  return next;
}
