/** Leases, priority classes and runtime classes: short rules. */
import { type FieldError, forbidden, invalid } from '#kube-machinery/field-error.ts';
import { dns1123LabelProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, choose, list, record, text } from './fields.ts';
import { validateLabels } from './metadata.ts';
import { validateTolerations } from './placement.ts';
import { validateResources } from './resources.ts';

export function validateLease(lease: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = (lease['spec'] ?? {}) as { leaseDurationSeconds?: number; leaseTransitions?: number };
  if (spec.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0)
    errors.push(invalid('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0'));
  if (spec.leaseTransitions !== undefined && spec.leaseTransitions < 0)
    errors.push(invalid('spec.leaseTransitions', spec.leaseTransitions, 'must be greater than or equal to 0'));
  return errors;
}

/** What users may give; above it is the system's. */
const userPriorityMax = 1_000_000_000;
const systemClasses = ['system-node-critical', 'system-cluster-critical'];

export function validatePriorityClass(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const { name = '' } = object.metadata;
  const value = (object['value'] ?? 0) as number;
  if (name.startsWith('system-')) {
    if (!systemClasses.includes(name))
      errors.push(
        forbidden(
          'metadata.name',
          "priority class names with 'system-' prefix are reserved for system use only. error: " +
            `${name} is not a known system priority class`,
        ),
      );
  } else if (value > userPriorityMax)
    errors.push(forbidden('value', `maximum allowed value of a user defined priority is ${userPriorityMax}`));
  const preemption = object['preemptionPolicy'];
  if (preemption !== undefined) choose(errors, 'preemptionPolicy', preemption, ['PreemptLowerPriority', 'Never']);
  return errors;
}

export function validateRuntimeClass(runtime: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  check(errors, 'handler', text(runtime['handler']), dns1123LabelProblems);
  const overhead = record(runtime['overhead']);
  if (overhead !== undefined) validateResources({ limits: overhead['podFixed'] }, 'overhead', errors);
  const scheduling = record(runtime['scheduling']);
  if (scheduling === undefined) return errors;
  errors.push(
    ...validateLabels(scheduling['nodeSelector'] as Readonly<Record<string, string>>, 'scheduling.nodeSelector'),
  );
  validateTolerations(list(scheduling['tolerations']), 'scheduling.tolerations', errors);
  return errors;
}

export function validateRuntimeClassUpdate(runtime: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  if (runtime['handler'] !== old['handler']) errors.push(invalid('handler', runtime['handler'], 'field is immutable'));
  return errors;
}
