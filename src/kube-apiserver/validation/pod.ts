/** Pods: as they are created, and the few fields that may change. Source: pkg/apis/core/validation. */
import { type FieldError, forbidden, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import type { KubeObject } from '../object.ts';
import { type Fields, list } from './fields.ts';
import { validatePodSpec, validateTokenVolumes } from './pod-spec.ts';

export function validatePod(pod: KubeObject): FieldError[] {
  const spec = (pod['spec'] ?? {}) as Fields;
  const errors = validatePodSpec(spec, 'spec', true);
  validateTokenVolumes(spec, errors);
  // They come by their own subresource only.
  if (list(spec['ephemeralContainers']).length > 0)
    errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  return errors;
}

const immutableText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

export function validatePodUpdate(pod: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = (pod['spec'] ?? {}) as Fields;
  const before = (old['spec'] ?? {}) as Fields;
  for (const field of ['containers', 'initContainers'] as const) {
    const now = list(spec[field]);
    if (now.length !== list(before[field]).length) {
      errors.push(forbidden(`spec.${field}`, 'pod updates may not add or remove containers'));
      return errors;
    }
    for (const [index, container] of now.entries())
      if (!container['image']) errors.push(required(`spec.${field}[${index}].image`));
  }
  const tolerations = list(spec['tolerations']);
  if (!list(before['tolerations']).every((toleration) => tolerations.some((other) => equal(toleration, other))))
    errors.push(forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'));
  if (!equal(fixed(spec, before), before)) errors.push(forbidden('spec', immutableText));
  return errors;
}

/** The new spec with what may change put back. */
function fixed(spec: Fields, before: Fields): Fields {
  const images = (field: 'containers' | 'initContainers') => {
    const was = list(before[field]);
    return Array.isArray(spec[field])
      ? { [field]: list(spec[field]).map((container, index) => ({ ...container, image: was[index]!['image'] })) }
      : {};
  };
  const { activeDeadlineSeconds: _a, tolerations: _t, ...rest } = spec;
  const gates = before['schedulingGates'];
  return {
    ...rest,
    ...images('containers'),
    ...images('initContainers'),
    ...('activeDeadlineSeconds' in before && { activeDeadlineSeconds: before['activeDeadlineSeconds'] }),
    ...('tolerations' in before && { tolerations: before['tolerations'] }),
    // Gates may only be taken away.
    ...(gates !== undefined && { schedulingGates: gates }),
  };
}
