/**
 * The rules that most kinds share, as a strategy to build particular ones on: the status belongs to its own path, the generation counts
 * changes of what users write, defaults and validation come from the kind's tables.
 */
import type { Resource } from '#api-kube/resource.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { defaultObject } from '../defaults/default-object.ts';
import type { KubeObject } from '../object.ts';
import type { Strategy } from '../strategy.ts';
import { validateCreate, validateStatusUpdate, validateUpdate } from '../validation/validate.ts';

/** Kinds whose metadata.generation the server counts. Source: the strategies of kubernetes 1.36. */
const counted = new Set([
  'pods',
  'replicationcontrollers',
  'podtemplates',
  'deployments.apps',
  'replicasets.apps',
  'daemonsets.apps',
  'statefulsets.apps',
  'jobs.batch',
  'cronjobs.batch',
  'ingresses.networking.k8s.io',
  'ingressclasses.networking.k8s.io',
  'networkpolicies.networking.k8s.io',
  'poddisruptionbudgets.policy',
  'priorityclasses.scheduling.k8s.io',
  'flowschemas.flowcontrol.apiserver.k8s.io',
  'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io',
  'mutatingwebhookconfigurations.admissionregistration.k8s.io',
  'validatingwebhookconfigurations.admissionregistration.k8s.io',
  'validatingadmissionpolicies.admissionregistration.k8s.io',
  'validatingadmissionpolicybindings.admissionregistration.k8s.io',
  'mutatingadmissionpolicies.admissionregistration.k8s.io',
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io',
]);

/** PUT creates what is not there. */
const createdOnUpdate = new Set([
  'endpoints',
  'events',
  'events.events.k8s.io',
  'leases.coordination.k8s.io',
  'limitranges',
  'services',
  'clusterroles.rbac.authorization.k8s.io',
  'clusterrolebindings.rbac.authorization.k8s.io',
  'roles.rbac.authorization.k8s.io',
  'rolebindings.rbac.authorization.k8s.io',
]);

/** PUT must say which version it replaces. */
const conditional = new Set([
  'leases.coordination.k8s.io',
  'apiservices.apiregistration.k8s.io',
  'customresourcedefinitions.apiextensions.k8s.io',
  'poddisruptionbudgets.policy',
  'ipaddresses.networking.k8s.io',
  'servicecidrs.networking.k8s.io',
]);

/** A delete answers with the object. */
const returned = new Set([
  'pods',
  'podtemplates',
  'persistentvolumes',
  'persistentvolumeclaims',
  'resourcequotas',
  'serviceaccounts',
  'services',
]);

export function genericStrategy(resource: Resource): Strategy {
  const { group, version, kind } = resource;
  const gvk = { ...(resource.storedAs ?? { group, version }), kind };
  const name = group === '' ? resource.resource : `${resource.resource}.${group}`;
  const hasStatus = resource.subresources.some((subresource) => subresource.name === 'status');
  const counts = counted.has(name);
  return {
    defaults: (object) => defaultObject(gvk, object),
    prepareCreate(object) {
      const { status: _, ...rest } = object;
      const written = (hasStatus ? rest : object) as KubeObject;
      return counts ? { ...written, metadata: { ...written.metadata, generation: 1 } } : written;
    },
    validateCreate: (object) => validateCreate(resource, object),
    prepareUpdate(object, old) {
      const kept = hasStatus ? withStatusOf(object, old) : object;
      return counts ? withGeneration(kept, old) : kept;
    },
    validateUpdate: (object, old) => validateUpdate(resource, object, old),
    prepareStatusUpdate: (object, old) => statusOnly(object, old),
    validateStatusUpdate: (object, old) => validateStatusUpdate(resource, object, old),
    allowCreateOnUpdate: createdOnUpdate.has(name),
    allowUnconditionalUpdate: !conditional.has(name),
    ...(returned.has(name) && { returnsDeleted: true }),
  };
}

export function withStatusOf(object: KubeObject, old: KubeObject): KubeObject {
  const { status: _, ...rest } = object;
  return { ...rest, ...(old['status'] !== undefined && { status: old['status'] }) } as KubeObject;
}

/** Counts up when anything but metadata and status changed. */
export function withGeneration(object: KubeObject, old: KubeObject): KubeObject {
  const generation = old.metadata.generation ?? 0;
  const { metadata: _m, status: _s, ...content } = object;
  const { metadata: _om, status: _os, ...oldContent } = old;
  const next = equal(content, oldContent) ? generation : generation + 1;
  return { ...object, metadata: { ...object.metadata, generation: next } };
}

/** The status path changes the status, and of the metadata only what is no part of the object's identity or plan. */
function statusOnly(object: KubeObject, old: KubeObject): KubeObject {
  const { labels: _l, ownerReferences: _o, ...metadata } = object.metadata;
  const { labels, ownerReferences } = old.metadata;
  return {
    ...old,
    metadata: { ...metadata, ...(labels && { labels }), ...(ownerReferences && { ownerReferences }) },
    ...(object['status'] !== undefined && { status: object['status'] }),
  };
}
