/**
 * What a kubelet may write: its own node, lease and CSI node, mirror pods on itself, the status of pods on itself. Knows nothing of reads: those are the node
 * authorizer's. Tokens for service accounts do not pass through admission here and are not covered. Source: plugin NodeRestriction.
 */
import { equal } from '#kube-machinery/json-patch.ts';
import { forbiddenError, notFoundError } from '#kube-machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { type Fields, specOf } from './pods.ts';

const userPrefix = 'system:node:';
const nodesGroup = 'system:nodes';
const mirror = 'kubernetes.io/config.mirror';
const leaseNamespace = 'kube-node-lease';
const nodes = { group: '', resource: 'nodes' };

type Labels = Readonly<Record<string, string>>;

export function nodeRestriction(reader: ObjectReader): AdmissionPlugin {
  const rules: Readonly<Record<string, (node: string, request: AdmissionRequest) => Promise<void> | void>> = {
    'pods.': (node, request) => checkPod(node, request, reader),
    'nodes.': checkNode,
    'persistentvolumeclaims.': (_node, request) => {
      if (request.subresource !== 'status') throw refusal(request, 'may only update PVC status');
    },
    'leases.coordination.k8s.io': (node, request) => {
      if (request.namespace !== leaseNamespace)
        throw refusal(request, `can only access leases in the ${JSON.stringify(leaseNamespace)} system namespace`);
      if (nameOf(request) !== node)
        throw refusal(request, 'can only access node lease with the same name as the requesting node');
    },
    'csinodes.storage.k8s.io': (node, request) => {
      if (nameOf(request) !== node)
        throw refusal(request, 'can only access CSINode with the same name as the requesting node');
    },
  };
  return {
    name: 'NodeRestriction',
    handles: ({ operation, user }) =>
      operation !== 'CONNECT' && user.name.startsWith(userPrefix) && user.groups.includes(nodesGroup),
    async validate(request) {
      const { resource, user } = request;
      const node = user.name.slice(userPrefix.length);
      if (node === '') throw refusal(request, `could not determine node from user ${JSON.stringify(user.name)}`);
      await rules[`${resource.resource}.${resource.group}`]?.(node, request);
    },
  };
}

function refusal({ resource, name }: AdmissionRequest, why: string) {
  return forbiddenError({ group: resource.group, resource: resource.resource }, name, why);
}

function nameOf({ object, name }: AdmissionRequest): string {
  return object?.metadata.name ?? name;
}

function nodeOf(pod: KubeObject | undefined): unknown {
  return ((pod?.['spec'] ?? {}) as Fields)['nodeName'];
}

async function checkPod(node: string, request: AdmissionRequest, reader: ObjectReader): Promise<void> {
  const { operation, subresource, object, oldObject } = request;
  const quoted = JSON.stringify(node);
  if (subresource === 'status') {
    if (operation !== 'UPDATE') throw refusal(request, `unexpected operation ${JSON.stringify(operation)}`);
    if (nodeOf(oldObject) !== node)
      throw refusal(request, `node ${quoted} can only update pod status for pods with spec.nodeName set to itself`);
    if (!equal(oldObject?.metadata.labels ?? {}, object?.metadata.labels ?? {}))
      throw refusal(request, `node ${quoted} cannot update labels through pod status`);
    if (!equal(claimsOf(oldObject), claimsOf(object)))
      throw refusal(request, `node ${quoted} cannot update resource claim statues`);
    return;
  }
  if (subresource !== '')
    throw refusal(
      request,
      `unexpected pod subresource ${JSON.stringify(subresource)}, only 'status' and 'eviction' are allowed`,
    );
  if (operation === 'CREATE') return checkMirrorPod(node, request, reader);
  if (operation === 'UPDATE')
    throw refusal(request, `unexpected operation "UPDATE", node ${quoted} can only create and delete mirror pods`);
  if (nodeOf(oldObject) !== node)
    throw refusal(request, `node ${quoted} can only delete pods with spec.nodeName set to itself`);
}

function claimsOf(pod: KubeObject | undefined): unknown {
  return ((pod?.['status'] ?? {}) as Fields)['resourceClaimStatuses'] ?? [];
}

async function checkMirrorPod(node: string, request: AdmissionRequest, reader: ObjectReader): Promise<void> {
  const pod = request.object!;
  const quoted = JSON.stringify(node);
  if (pod.metadata.annotations?.[mirror] === undefined)
    throw refusal(
      request,
      `pod does not have ${JSON.stringify(mirror)} annotation, node ${quoted} can only create mirror pods`,
    );
  const only = (what: string) => refusal(request, `node ${quoted} can only create pods with ${what} set to itself`);
  if (nodeOf(pod) !== node) throw only('spec.nodeName');
  const [owner, ...others] = pod.metadata.ownerReferences ?? [];
  if (others.length > 0) throw only('a single owner reference');
  if (owner === undefined || owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
    throw only('an owner reference');
  if (owner.controller !== true) throw only('a controller owner reference');
  if (owner.blockOwnerDeletion === true)
    throw refusal(request, `node ${quoted} must not set blockOwnerDeletion on an owner reference`);
  const found = reader.get(nodes, '', node) ?? (await reader.getLatest(nodes, '', node));
  if (found === undefined) throw notFoundError(nodes, node);
  if (owner.uid !== found.metadata.uid)
    throw refusal(request, `node ${node} UID mismatch: expected ${owner.uid} got ${found.metadata.uid}`);
  const spec = specOf(request);
  const cannot = (what: string) => refusal(request, `node ${quoted} can not create pods that reference ${what}`);
  if (spec['serviceAccountName']) throw cannot('a service account');
  if (mentions(spec, secretFields)) throw cannot('secrets');
  if (mentions(spec, configMapFields)) throw cannot('configmaps');
  if (mentions(spec, new Set(['clusterTrustBundle']))) throw cannot('clustertrustbundles');
  if (mentions(spec, new Set(['persistentVolumeClaim']))) throw cannot('persistentvolumeclaims');
}

/** Every field of a pod's spec that names a secret or a config map, wherever it stands. */
const secretFields = new Set([
  'secret',
  'secretName',
  'secretRef',
  'secretKeyRef',
  'imagePullSecrets',
  'nodePublishSecretRef',
]);
const configMapFields = new Set(['configMap', 'configMapRef', 'configMapKeyRef']);

function mentions(value: unknown, fields: ReadonlySet<string>): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => mentions(item, fields));
  return Object.entries(value).some(([name, inner]) => {
    if (inner === undefined || inner === null) return false;
    if (fields.has(name)) return !Array.isArray(inner) || inner.length > 0;
    return mentions(inner, fields);
  });
}

function checkNode(node: string, request: AdmissionRequest): void {
  const { operation, object, oldObject } = request;
  const quoted = JSON.stringify(node);
  const name = nameOf(request);
  if (name !== node) throw refusal(request, `node ${quoted} is not allowed to modify node ${JSON.stringify(name)}`);
  if (operation === 'DELETE') return;
  const taints = (of: KubeObject | undefined) => ((of?.['spec'] ?? {}) as Fields)['taints'] ?? [];
  if (operation === 'UPDATE' && !equal(taints(object), taints(oldObject)))
    throw refusal(request, `node ${quoted} is not allowed to modify taints`);
  const changed = changedLabels(object?.metadata.labels ?? {}, oldObject?.metadata.labels ?? {}).filter(isReserved);
  if (changed.length === 0) return;
  const list = changed.sort().join(', ');
  throw refusal(
    request,
    operation === 'CREATE'
      ? `node ${quoted} is not allowed to set the following labels: ${list}`
      : `is not allowed to modify labels: ${list}`,
  );
}

function changedLabels(after: Labels, before: Labels): string[] {
  return [...new Set([...Object.keys(after), ...Object.keys(before)])].filter((key) => after[key] !== before[key]);
}

/** Labels of the system that kubelets have always set on themselves. */
const kubeletLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
]);
const kubeletDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io'];

function isReserved(label: string): boolean {
  const domain = label.includes('/') ? label.slice(0, label.indexOf('/')) : '';
  const within = (parent: string) => domain === parent || domain.endsWith(`.${parent}`);
  if (within('node-restriction.kubernetes.io')) return true;
  if (!within('kubernetes.io') && !within('k8s.io')) return false;
  return !kubeletLabels.has(label) && !kubeletDomains.some(within);
}
