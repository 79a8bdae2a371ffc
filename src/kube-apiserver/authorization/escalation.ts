/**
 * Nobody grants what they do not have: writes of roles and bindings are refused when they would allow more than the writer may, unless the writer
 * has the verb `escalate` on the role, or `bind` on the role that is bound. Upstream does this in the storage of these kinds, so it is no plugin that can
 * be turned off; here it runs among the validating plugins. Source: the policybased storages of pkg/registry/rbac.
 */
import { equal } from '#kube-machinery/json-patch.ts';
import { forbiddenError, notFoundError } from '#kube-machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { AuthorizationAttributes } from '../attributes.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { mastersGroup, type UserInfo } from '../user.ts';
import { describeRules, missingRules, quoted } from './covers.ts';
import type { PolicyRule, Rbac } from './rbac.ts';

const group = 'rbac.authorization.k8s.io';
const kinds = new Set(['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings']);
const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

interface RoleRef {
  readonly kind?: string;
  readonly name?: string;
}

export function rbacEscalation(reader: ObjectReader, rbac: Pick<Rbac, 'authorize' | 'grantsFor'>): AdmissionPlugin {
  const missingFor = (user: UserInfo, namespace: string, wanted: readonly PolicyRule[]) =>
    missingRules(
      [...rbac.grantsFor(user, namespace)].map(({ rule }) => rule),
      wanted,
    );

  const confirm = (request: AdmissionRequest, wanted: readonly PolicyRule[]) => {
    const { user, namespace } = request;
    const missing = missingFor(user, namespace, wanted);
    if (missing.length > 0)
      throw refusal(
        request,
        `user ${JSON.stringify(user.name)} (groups=${quoted(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${describeRules(missing)}`,
      );
  };

  return {
    name: 'RBACEscalation',
    handles: ({ operation, resource, subresource }) =>
      (operation === 'CREATE' || operation === 'UPDATE') &&
      resource.group === group &&
      kinds.has(resource.resource) &&
      subresource === '',
    async validate(request) {
      const { object, oldObject, user, namespace, operation, resource } = request;
      if (object === undefined || user.groups.includes(mastersGroup)) return;
      if (oldObject !== undefined && isForDeletionOnly(object, oldObject)) return;
      if (resource.resource === 'roles' || resource.resource === 'clusterroles') {
        // The path of a create has no name.
        const name = operation === 'CREATE' ? '' : request.name;
        if (rbac.authorize(asking(user, 'escalate', resource.resource, namespace, name)).allowed) return;
        confirm(request, rulesOf(object));
        // It gathers whatever others write, and nobody could take it back.
        if (!aggregates(object) && !aggregates(oldObject)) return;
        if (missingFor(user, namespace, everything).length > 0)
          throw refusal(request, 'must have cluster-admin privileges to use the aggregationRule');
        return;
      }
      const { kind, name = '' } = (object['roleRef'] ?? {}) as RoleRef;
      const bound = { group, resource: kind === 'ClusterRole' ? 'clusterroles' : 'roles' };
      if (rbac.authorize(asking(user, 'bind', bound.resource, namespace, name)).allowed) return;
      const home = kind === 'ClusterRole' ? '' : namespace;
      const role = reader.get(bound, home, name) ?? (await reader.getLatest(bound, home, name));
      if (role === undefined) throw notFoundError(bound, name);
      confirm(request, rulesOf(role));
    },
  };
}

function refusal({ resource, object }: AdmissionRequest, why: string) {
  return forbiddenError({ group, resource: resource.resource }, object?.metadata.name ?? '', why);
}

function rulesOf(role: KubeObject): readonly PolicyRule[] {
  return (role['rules'] ?? []) as readonly PolicyRule[];
}

function aggregates(role: KubeObject | undefined): boolean {
  const { clusterRoleSelectors = [] } = (role?.['aggregationRule'] ?? {}) as {
    readonly clusterRoleSelectors?: readonly unknown[];
  };
  return clusterRoleSelectors.length > 0;
}

/** The garbage collector must be able to let go of what it may not grant. */
function isForDeletionOnly(object: KubeObject, oldObject: KubeObject): boolean {
  return equal(withoutOwners(object), withoutOwners(oldObject));
}

function withoutOwners(object: KubeObject): KubeObject {
  const { ownerReferences: _o, finalizers: _f, managedFields: _m, resourceVersion: _r, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function asking(
  user: UserInfo,
  verb: string,
  resource: string,
  namespace: string,
  name: string,
): AuthorizationAttributes {
  return {
    user,
    info: {
      isResourceRequest: true,
      path: '',
      verb,
      apiPrefix: 'apis',
      apiGroup: group,
      apiVersion: 'v1',
      namespace,
      resource,
      subresource: '',
      name,
      parts: [],
      query: new URLSearchParams(),
    },
  };
}
