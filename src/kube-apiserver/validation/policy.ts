/** Disruption budgets and pod autoscalers. Source: pkg/apis/policy/validation, pkg/apis/autoscaling/validation. */
import { type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { pathSegmentProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, record, text } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { atMostAll, validateShare } from './rollout.ts';

export function validatePodDisruptionBudget(budget: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(budget['spec']) ?? {};
  if (spec['minAvailable'] !== undefined && spec['maxUnavailable'] !== undefined)
    errors.push(invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  for (const field of ['minAvailable', 'maxUnavailable']) {
    if (spec[field] === undefined) continue;
    validateShare(errors, `spec.${field}`, spec[field]);
    atMostAll(errors, `spec.${field}`, spec[field]);
  }
  const selector = record(spec['selector']);
  if (selector !== undefined) validateLabelSelector(selector, 'spec.selector', errors);
  const policy = spec['unhealthyPodEvictionPolicy'];
  const policies = ['AlwaysAllow', 'IfHealthyBudget'];
  if (policy !== undefined && !policies.includes(policy as string))
    errors.push(notSupported('spec.unhealthyPodEvictionPolicy', policy, policies));
  return errors;
}

export function validateHorizontalPodAutoscaler(autoscaler: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(autoscaler['spec']) ?? {};
  const min = spec['minReplicas'] as number | undefined;
  const max = (spec['maxReplicas'] ?? 0) as number;
  if (min !== undefined && min < 1) errors.push(invalid('spec.minReplicas', min, 'must be greater than or equal to 1'));
  if (max < 1) errors.push(invalid('spec.maxReplicas', max, 'must be greater than 0'));
  if (min !== undefined && max < min)
    errors.push(invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
  const target = record(spec['scaleTargetRef']) ?? {};
  for (const field of ['kind', 'name']) {
    const at = `spec.scaleTargetRef.${field}`;
    if (text(target[field]) === '') errors.push(required(at));
    else check(errors, at, text(target[field]), pathSegmentProblems);
  }
  return errors;
}
