/** ObjectMeta: names by the kind's rule, labels, annotations, finalizers, and what may never change. Source: api/validation of k8s.io/apimachinery. */
import type { Resource } from '#api-kube/resource.ts';
import { type FieldError, forbidden, invalid, required, tooLong } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import {
  dns1035LabelProblems,
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  labelValueProblems,
  pathSegmentProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { addressNameProblems } from './network-kinds.ts';

const annotationsBytesMax = 256 << 10;

/** Kinds whose names are not DNS subdomains. */
const nameRules: Readonly<Record<string, (name: string) => string[]>> = {
  services: dns1035LabelProblems,
  namespaces: dns1123LabelProblems,
  roles: pathSegmentProblems,
  clusterroles: pathSegmentProblems,
  rolebindings: pathSegmentProblems,
  clusterrolebindings: pathSegmentProblems,
  ipaddresses: addressNameProblems,
  certificatesigningrequests: () => [],
  events: () => [],
};

export function validateMetadata(resource: Resource, object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const { name, generateName, namespace } = object.metadata;
  const problems = nameRules[resource.resource] ?? dns1123SubdomainProblems;
  if (generateName && !name)
    // A prefix may end in what a whole name may not.
    for (const problem of problems(generateName.replace(/-+$/, '') || generateName))
      errors.push(invalid('metadata.generateName', generateName, problem));
  if (!name && !generateName) errors.push(required('metadata.name', 'name or generateName is required'));
  else if (name) for (const problem of problems(name)) errors.push(invalid('metadata.name', name, problem));
  if (resource.namespaced) {
    if (!namespace) errors.push(required('metadata.namespace'));
    else
      for (const problem of dns1123LabelProblems(namespace))
        errors.push(invalid('metadata.namespace', namespace, problem));
  } else if (namespace) errors.push(forbidden('metadata.namespace', 'not allowed on this type'));
  return [...errors, ...shared(object), ...kubeFinalizers(resource, object)];
}

export function validateMetadataUpdate(resource: Resource, object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const { metadata } = object;
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp'] as const)
    if (!equal(metadata[field], old.metadata[field]))
      errors.push(invalid(`metadata.${field}`, metadata[field], 'field is immutable'));
  if (old.metadata.deletionTimestamp !== undefined) {
    const before = new Set(old.metadata.finalizers ?? []);
    const added = (metadata.finalizers ?? []).filter((finalizer) => !before.has(finalizer));
    if (added.length > 0)
      errors.push(
        forbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => JSON.stringify(name)).join(', ')}}`,
        ),
      );
  }
  return [...errors, ...shared(object), ...kubeFinalizers(resource, object)];
}

/** Groups whose kinds have no rules for finalizers beyond those of all objects. */
const foreignGroups = new Set(['apiextensions.k8s.io', 'apiregistration.k8s.io']);
const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** A finalizer without a domain is one of Kubernetes' own. Source: ValidateObjectMeta of pkg/apis/core/validation. */
function kubeFinalizers(resource: Resource, { metadata }: KubeObject): FieldError[] {
  if (foreignGroups.has(resource.group)) return [];
  return (metadata.finalizers ?? []).flatMap((name, index) => kubeFinalizer(`metadata.finalizers[${index}]`, name));
}

export function kubeFinalizer(at: string, name: string): FieldError[] {
  return name.includes('/') || standardFinalizers.includes(name)
    ? []
    : [invalid(at, name, 'name is neither a standard finalizer name nor is it fully qualified')];
}

function shared({ metadata }: KubeObject): FieldError[] {
  const errors = [...validateLabels(metadata.labels, 'metadata.labels')];
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    for (const problem of qualifiedNameProblems(key.toLowerCase()))
      errors.push(invalid('metadata.annotations', key, problem));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > annotationsBytesMax) errors.push(tooLong('metadata.annotations', annotationsBytesMax));
  for (const finalizer of metadata.finalizers ?? []) {
    for (const problem of qualifiedNameProblems(finalizer))
      errors.push(invalid('metadata.finalizers', finalizer, problem));
  }
  const { finalizers = [] } = metadata;
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    errors.push(
      invalid('metadata.finalizers', finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'),
    );
  let controllers = 0;
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    const at = (field: string) => `metadata.ownerReferences[${index}].${field}`;
    if (!owner.apiVersion) errors.push(invalid(at('apiVersion'), owner.apiVersion ?? '', 'version must not be empty'));
    if (!owner.kind) errors.push(invalid(at('kind'), owner.kind ?? '', 'must not be empty'));
    if (!owner.name) errors.push(invalid(at('name'), owner.name ?? '', 'must not be empty'));
    if (!owner.uid) errors.push(invalid(at('uid'), owner.uid ?? '', 'must not be empty'));
    if (owner.controller) controllers++;
  }
  if (controllers > 1)
    errors.push(
      invalid(
        'metadata.ownerReferences',
        metadata.ownerReferences,
        'Only one reference can have Controller set to true.',
      ),
    );
  return errors;
}

export function validateLabels(labels: Readonly<Record<string, string>> | undefined, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    for (const problem of qualifiedNameProblems(key)) errors.push(invalid(field, key, problem));
    for (const problem of labelValueProblems(value)) errors.push(invalid(field, value, problem));
  }
  return errors;
}
