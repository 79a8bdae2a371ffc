/** Who has the roles from the start. Source: upstream's bootstrap policy. */

export interface BindingSpec {
  readonly name: string;
  readonly role: string;
  /** `User:name`, `Group:name` or `ServiceAccount:namespace/name`. */
  readonly subjects: readonly string[];
}

const system = 'kube-system';

export const clusterRoleBindings: readonly BindingSpec[] = [
  { name: 'cluster-admin', role: 'cluster-admin', subjects: ['Group:system:masters'] },
  { name: 'system:monitoring', role: 'system:monitoring', subjects: ['Group:system:monitoring'] },
  { name: 'system:discovery', role: 'system:discovery', subjects: ['Group:system:authenticated'] },
  { name: 'system:basic-user', role: 'system:basic-user', subjects: ['Group:system:authenticated'] },
  {
    name: 'system:public-info-viewer',
    role: 'system:public-info-viewer',
    subjects: ['Group:system:authenticated', 'Group:system:unauthenticated'],
  },
  // Nobody has it: what nodes may the node authorizer says.
  { name: 'system:node', role: 'system:node', subjects: [] },
  { name: 'system:node-proxier', role: 'system:node-proxier', subjects: ['User:system:kube-proxy'] },
  {
    name: 'system:kube-controller-manager',
    role: 'system:kube-controller-manager',
    subjects: ['User:system:kube-controller-manager'],
  },
  { name: 'system:kube-dns', role: 'system:kube-dns', subjects: [`ServiceAccount:${system}/kube-dns`] },
  { name: 'system:coredns', role: 'system:coredns', subjects: [`ServiceAccount:${system}/coredns`] },
  { name: 'system:kube-scheduler', role: 'system:kube-scheduler', subjects: ['User:system:kube-scheduler'] },
  { name: 'system:volume-scheduler', role: 'system:volume-scheduler', subjects: ['User:system:kube-scheduler'] },
  {
    name: 'system:service-account-issuer-discovery',
    role: 'system:service-account-issuer-discovery',
    subjects: ['Group:system:serviceaccounts'],
  },
];

export function controllerBinding(account: string): BindingSpec {
  const name = `system:controller:${account}`;
  return { name, role: name, subjects: [`ServiceAccount:${system}/${account}`] };
}
