/** Roles and bindings. Source: pkg/apis/rbac/validation. */
import { type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import type { KubeObject } from '../object.ts';

const group = 'rbac.authorization.k8s.io';

interface Rule {
  readonly verbs?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

export function validateRole(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const namespaced = object.kind === 'Role';
  for (const [index, rule] of ((object['rules'] ?? []) as Rule[]).entries()) {
    const at = `rules[${index}]`;
    const { verbs = [], apiGroups = [], resources = [], nonResourceURLs = [] } = rule;
    if (verbs.length === 0) errors.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
    if (nonResourceURLs.length > 0) {
      if (namespaced)
        errors.push(
          invalid(`${at}.nonResourceURLs`, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'),
        );
      if (apiGroups.length > 0 || resources.length > 0)
        errors.push(
          invalid(
            `${at}.nonResourceURLs`,
            nonResourceURLs,
            'rules cannot apply to both regular resources and non-resource URLs',
          ),
        );
      continue;
    }
    if (apiGroups.length === 0)
      errors.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    if (resources.length === 0)
      errors.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
  }
  return errors;
}

interface Subject {
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly apiGroup?: string;
}

export function validateBinding(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const role = (object['roleRef'] ?? {}) as Subject;
  if (role.apiGroup !== group) errors.push(notSupported('roleRef.apiGroup', role.apiGroup, [group]));
  const kinds = object.kind === 'RoleBinding' ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(role.kind ?? '')) errors.push(notSupported('roleRef.kind', role.kind, kinds));
  if (!role.name) errors.push(required('roleRef.name'));
  for (const [index, subject] of ((object['subjects'] ?? []) as Subject[]).entries()) {
    const at = `subjects[${index}]`;
    if (!subject.name) errors.push(required(`${at}.name`));
    switch (subject.kind) {
      case 'ServiceAccount':
        if (object.kind === 'ClusterRoleBinding' && !subject.namespace) errors.push(required(`${at}.namespace`));
        if (subject.apiGroup) errors.push(notSupported(`${at}.apiGroup`, subject.apiGroup, ['']));
        break;
      case 'User':
      case 'Group':
        if (subject.apiGroup !== group) errors.push(notSupported(`${at}.apiGroup`, subject.apiGroup, [group]));
        break;
      default:
        errors.push(notSupported(`${at}.kind`, subject.kind, ['ServiceAccount', 'User', 'Group']));
    }
  }
  return errors;
}
