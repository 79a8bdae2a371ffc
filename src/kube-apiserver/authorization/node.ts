/**
 * What a kubelet may ask: the objects that the pods bound to its node name, its own node, lease and CSI node, and what all nodes may alike.
 * Anything else it leaves to the next authorizer. Source: plugin/pkg/auth/authorizer/node, with AuthorizeNodeWithSelectors.
 */
import { parseFieldSelector } from '#kube-machinery/field-selector.ts';
import { StatusError } from '#kube-machinery/status.ts';
import type { AuthorizationAttributes, Authorizer, Decision } from '../attributes.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../user.ts';
import type { NodeGraph } from './node-graph.ts';
import type { ReferenceKind } from './pod-references.ts';
import { allows, type PolicyRule } from './rbac.ts';

const userPrefix = 'system:node:';
const nodesGroup = 'system:nodes';
const leaseNamespace = 'kube-node-lease';

/** The name of the node that a user is; undefined: the user is none. May be empty, for a user who says he is one and does not say which. */
export function nodeNameOf({ name, groups }: UserInfo): string | undefined {
  return name.startsWith(userPrefix) && groups.includes(nodesGroup) ? name.slice(userPrefix.length) : undefined;
}

const allowed: Decision = { allowed: true, reason: '' };
const refused = (reason: string): Decision => ({ allowed: false, reason });

type Rule = (node: string, info: RequestInfo) => Decision;

/** @param rules what all nodes may alike */
export function nodeAuthorizer(graph: NodeGraph, rules: readonly PolicyRule[]): Authorizer {
  const related = (node: string, { name }: RequestInfo, isRelated: () => boolean): Decision => {
    if (name === '') return refused('No Object name found');
    return isRelated() ? allowed : refused(`no relationship found between node '${node}' and this object`);
  };
  const named =
    (kind: ReferenceKind): Rule =>
    (node, info) =>
      related(node, info, () => graph.reaches(node, kind, info.namespace, info.name));
  const bound =
    (kind: Parameters<NodeGraph['isBoundTo']>[1]): Rule =>
    (node, info) =>
      related(node, info, () => graph.isBoundTo(node, kind, info.namespace, info.name));
  const read =
    (rule: Rule): Rule =>
    (node, info) => {
      if (!['get', 'list', 'watch'].includes(info.verb)) return refused('can only read resources of this type');
      if (info.subresource !== '') return refused('cannot read subresource');
      if (info.namespace === '') return refused('can only read namespaced object of this type');
      return rule(node, info);
    };
  const get =
    (rule: Rule): Rule =>
    (node, info) => {
      if (info.verb !== 'get') return refused('can only get individual resources of this type');
      if (info.subresource !== '') return refused('cannot get subresource');
      return rule(node, info);
    };

  const claims = named('persistentvolumeclaim');
  const byResource: Readonly<Record<string, Rule>> = {
    'secrets.': read(named('secret')),
    'configmaps.': read(named('configmap')),
    'persistentvolumeclaims.': (node, info) => {
      if (info.subresource !== 'status') return get(claims)(node, info);
      if (info.verb !== 'update' && info.verb !== 'patch') return refused('can only get/update/patch this type');
      return claims(node, info);
    },
    'persistentvolumes.': get((node, info) => related(node, info, () => graph.reachesVolume(node, info.name))),
    'resourceclaims.resource.k8s.io': get(named('resourceclaim')),
    'volumeattachments.storage.k8s.io': get(bound('volumeattachment')),
    'serviceaccounts.': (node, info) => {
      if (info.verb !== 'create' || info.name === '')
        return refused('can only create tokens for individual service accounts');
      if (info.subresource !== 'token') return refused('can only create token subresource of serviceaccount');
      return named('serviceaccount')(node, info);
    },
    'leases.coordination.k8s.io': authorizeLease,
    'csinodes.storage.k8s.io': authorizeCsiNode,
    'resourceslices.resource.k8s.io': (node, info) => authorizeSlice(node, info, bound('resourceslice')),
    'nodes.': authorizeNode,
    'pods.': (node, info) => authorizePod(node, info, bound('pod')),
  };

  return (attributes: AuthorizationAttributes): Decision => {
    const { user, info } = attributes;
    const node = nodeNameOf(user);
    if (node === undefined) return refused('');
    if (node === '') return refused(`unknown node for user ${JSON.stringify(user.name)}`);
    const rule = info.isResourceRequest ? byResource[`${info.resource}.${info.apiGroup}`] : undefined;
    if (rule !== undefined) return rule(node, info);
    return rules.some((one) => allows(one, attributes)) ? allowed : refused('');
  };
}

const leaseVerbs = ['get', 'create', 'update', 'patch', 'delete'];

function authorizeLease(node: string, { verb, namespace, name }: RequestInfo): Decision {
  if (!leaseVerbs.includes(verb)) return refused('can only get, create, update, patch, or delete a node lease');
  if (namespace !== leaseNamespace)
    return refused(`can only access leases in the ${JSON.stringify(leaseNamespace)} system namespace`);
  // A create has no name yet; admission looks at it.
  if (verb !== 'create' && name !== node)
    return refused('can only access node lease with the same name as the requesting node');
  return allowed;
}

function authorizeCsiNode(node: string, { verb, subresource, name }: RequestInfo): Decision {
  if (!leaseVerbs.includes(verb)) return refused('can only get, create, update, patch, or delete a CSINode');
  if (subresource !== '') return refused('cannot authorize CSINode subresources');
  if (verb !== 'create' && name !== node)
    return refused('can only access CSINode with the same name as the requesting node');
  return allowed;
}

function authorizeSlice(node: string, info: RequestInfo, own: Rule): Decision {
  if (info.subresource !== '') return refused('cannot authorize ResourceSlice subresources');
  switch (info.verb) {
    case 'create':
      return allowed;
    case 'get':
    case 'update':
    case 'patch':
    case 'delete':
      return own(node, info);
    case 'watch':
    case 'list':
    case 'deletecollection':
      return selects(info, 'nodeName', node)
        ? allowed
        : refused('can only list/watch/deletecollection resourceslices with nodeName field selector');
    default:
      return refused(
        'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
      );
  }
}

function authorizeNode(node: string, { verb, subresource, name }: RequestInfo): Decision {
  if (subresource === 'status') return verb === 'update' || verb === 'patch' ? allowed : refused('');
  if (subresource !== '') return refused('');
  switch (verb) {
    case 'create':
    case 'update':
    case 'patch':
      return allowed;
    case 'get':
    case 'list':
    case 'watch':
      if (name === node) return allowed;
      return refused(
        name === ''
          ? `node '${node}' cannot read all nodes, only its own Node object`
          : `node '${node}' cannot read '${name}', only its own Node object`,
      );
    default:
      return refused('');
  }
}

function authorizePod(node: string, info: RequestInfo, own: Rule): Decision {
  const { verb, subresource, name } = info;
  if (subresource === 'status') return verb === 'update' || verb === 'patch' ? allowed : refused('');
  if (subresource === 'eviction') return verb === 'create' ? allowed : refused('');
  if (subresource !== '') return refused('');
  switch (verb) {
    case 'get':
      return own(node, info);
    case 'list':
    case 'watch':
      if (selects(info, 'spec.nodeName', node)) return allowed;
      if (name !== '') return own(node, info);
      return refused('can only list/watch pods with spec.nodeName field selector');
    // Mirror pods; which ones, admission says.
    case 'create':
    case 'delete':
      return allowed;
    default:
      return refused('');
  }
}

/** The request asks only for objects whose field has this value. A selector that cannot be read selects nothing here; its verb will say why. */
function selects({ query }: RequestInfo, field: string, value: string): boolean {
  try {
    return parseFieldSelector(query.get('fieldSelector') ?? '').some(
      (one) => one.field === field && one.operator !== '!=' && one.value === value,
    );
  } catch (error) {
    if (error instanceof StatusError) return false;
    throw error;
  }
}
