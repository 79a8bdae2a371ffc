/** Roles inside the system's own namespaces, and who has them: leader election, bootstrap tokens, cluster-info. Source: upstream's namespace_policy. */
import type { PolicyRule } from '../authorization/rbac.ts';
import type { BindingSpec } from './bindings.ts';
import { events, read, rule } from './rule.ts';

export interface NamespaceRoleSpec {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
}

export interface NamespaceBindingSpec extends BindingSpec {
  readonly namespace: string;
}

const system = 'kube-system';
const electing = [rule('create get list update watch', 'coordination.k8s.io', 'leases leasecandidates')];

export const namespaceRoles: readonly NamespaceRoleSpec[] = [
  {
    namespace: system,
    name: 'extension-apiserver-authentication-reader',
    rules: [rule(read, 'core', 'configmaps', 'extension-apiserver-authentication')],
  },
  { namespace: system, name: 'system::leader-locking-kube-controller-manager', rules: electing },
  { namespace: system, name: 'system::leader-locking-kube-scheduler', rules: electing },
  { namespace: system, name: 'system:controller:bootstrap-signer', rules: [rule(read, 'core', 'secrets')] },
  {
    namespace: system,
    name: 'system:controller:cloud-provider',
    rules: [rule('create get list watch', 'core', 'configmaps')],
  },
  {
    namespace: system,
    name: 'system:controller:token-cleaner',
    rules: [rule('delete get list watch', 'core', 'secrets'), events],
  },
  {
    namespace: 'kube-public',
    name: 'system:controller:bootstrap-signer',
    rules: [rule(read, 'core', 'configmaps'), rule('update', 'core', 'configmaps', 'cluster-info'), events],
  },
];

const account = (name: string) => `ServiceAccount:${system}/${name}`;

export const namespaceBindings: readonly NamespaceBindingSpec[] = [
  {
    namespace: system,
    name: 'system::extension-apiserver-authentication-reader',
    role: 'extension-apiserver-authentication-reader',
    subjects: ['User:system:kube-controller-manager', 'User:system:kube-scheduler'],
  },
  {
    namespace: system,
    name: 'system::leader-locking-kube-controller-manager',
    role: 'system::leader-locking-kube-controller-manager',
    subjects: [
      'User:system:kube-controller-manager',
      account('kube-controller-manager'),
      account('leader-election-controller'),
    ],
  },
  {
    namespace: system,
    name: 'system::leader-locking-kube-scheduler',
    role: 'system::leader-locking-kube-scheduler',
    subjects: ['User:system:kube-scheduler', account('kube-scheduler')],
  },
  ...[
    [system, 'bootstrap-signer'],
    [system, 'cloud-provider'],
    [system, 'token-cleaner'],
    ['kube-public', 'bootstrap-signer'],
  ].map(([namespace, name]) => ({
    namespace: namespace!,
    name: `system:controller:${name}`,
    role: `system:controller:${name}`,
    subjects: [account(name!)],
  })),
];
