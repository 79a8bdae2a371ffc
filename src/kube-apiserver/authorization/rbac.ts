/**
 * Role-based access control: allowed is what some rule of a role bound to the user allows. Rules are indexed per subject the first time they
 * are needed after a change. Source: plugin/pkg/auth/authorizer/rbac.
 */
import type { AuthorizationAttributes, Authorizer } from '../attributes.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { mastersGroup, serviceAccountUser, type UserInfo } from '../user.ts';

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

interface Binding extends KubeObject {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly Subject[];
}

/** A rule that holds for a subject, and why. */
export interface Grant {
  readonly rule: PolicyRule;
  /** Empty: everywhere. */
  readonly namespace: string;
  readonly reason: string;
}

const group = 'rbac.authorization.k8s.io';
const kinds = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'] as const;

export interface Rbac extends Disposable {
  readonly authorize: Authorizer;
  /** Everything that is granted to a user in a namespace (empty: cluster-wide only). */
  grantsFor(user: UserInfo, namespace: string): Iterable<Grant>;
}

export function createRbac(reader: ObjectReader): Rbac {
  /** By `User:name` or `Group:name`. */
  let index: Map<string, Grant[]> | undefined;
  const watches = kinds.map((resource) =>
    reader.watch({ group, resource }, () => {
      index = undefined;
    }),
  );

  function* grantsFor(user: UserInfo, namespace: string): Iterable<Grant> {
    index ??= indexGrants(reader);
    for (const key of [`User:${user.name}`, ...user.groups.map((name) => `Group:${name}`)])
      for (const grant of index.get(key) ?? [])
        if (grant.namespace === '' || (namespace !== '' && grant.namespace === namespace)) yield grant;
  }

  return {
    grantsFor,
    authorize(attributes) {
      const { user, info } = attributes;
      if (user.groups.includes(mastersGroup)) return { allowed: true, reason: '' };
      for (const grant of grantsFor(user, info.namespace))
        if (allows(grant.rule, attributes)) return { allowed: true, reason: grant.reason };
      return { allowed: false, reason: '' };
    },
    [Symbol.dispose]() {
      for (const watch of watches) watch[Symbol.dispose]();
    },
  };
}

/** Does the rule cover what is asked? Source: rbac.RuleAllows. */
export function allows(rule: PolicyRule, { info }: AuthorizationAttributes): boolean {
  if (!has(rule.verbs, info.verb)) return false;
  if (!info.isResourceRequest)
    return (rule.nonResourceURLs ?? []).some(
      (url) => url === '*' || url === info.path || (url.endsWith('*') && info.path.startsWith(url.slice(0, -1))),
    );
  const { resources = [], resourceNames = [] } = rule;
  const combined = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  return (
    has(rule.apiGroups, info.apiGroup) &&
    resources.some(
      (resource) =>
        resource === '*' || resource === combined || (info.subresource !== '' && resource === `*/${info.subresource}`),
    ) &&
    (resourceNames.length === 0 || resourceNames.includes(info.name))
  );
}

function has(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes('*') || list.includes(value));
}

function indexGrants(reader: ObjectReader): Map<string, Grant[]> {
  const index = new Map<string, Grant[]>();
  for (const resource of ['clusterrolebindings', 'rolebindings'] as const)
    for (const object of reader.list({ group, resource })) {
      const binding = object as Binding;
      const { name = '', namespace = '' } = binding.metadata;
      const { kind, name: roleName } = binding.roleRef;
      const role =
        kind === 'ClusterRole'
          ? reader.get({ group, resource: 'clusterroles' }, '', roleName)
          : reader.get({ group, resource: 'roles' }, namespace, roleName);
      const rules = (role?.['rules'] ?? []) as readonly PolicyRule[];
      for (const subject of binding.subjects ?? []) {
        const key = keyOf(subject, namespace);
        if (key === undefined) continue;
        const own = `${binding.kind} ${JSON.stringify(namespace === '' ? name : `${name}/${namespace}`)}`;
        const reason = `RBAC: allowed by ${own} of ${kind} ${JSON.stringify(roleName)} to ${subject.kind} ${JSON.stringify(subjectName(subject, namespace))}`;
        const grants = index.get(key) ?? [];
        for (const rule of rules) grants.push({ rule, namespace, reason });
        index.set(key, grants);
      }
    }
  return index;
}

function keyOf(subject: Subject, namespace: string): string | undefined {
  switch (subject.kind) {
    case 'User':
      return `User:${subject.name}`;
    case 'Group':
      return `Group:${subject.name}`;
    case 'ServiceAccount':
      return `User:${serviceAccountUser(subject.namespace ?? namespace, subject.name)}`;
    default:
      return undefined;
  }
}

function subjectName(subject: Subject, namespace: string): string {
  return subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace ?? namespace}` : subject.name;
}
