/** Disruption budgets and pod autoscalers. Source: pkg/apis/policy/validation, pkg/apis/autoscaling/validation. */
import { type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { pathSegmentProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, list, record, text } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { atMostAll, validateShare } from './rollout.ts';

export function validatePodDisruptionBudget(budget: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(budget['spec']) ?? {};
  if (spec['minAvailable'] !== undefined && spec['maxUnavailable'] !== undefined)
    errors.push(invalid('spec', internalBudget(spec), 'minAvailable and maxUnavailable cannot be both set'));
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

/** As upstream's internal record is printed. */
function internalBudget(spec: Fields): object {
  return {
    MinAvailable: spec['minAvailable'] ?? null,
    Selector: spec['selector'] ?? null,
    MaxUnavailable: spec['maxUnavailable'] ?? null,
    UnhealthyPodEvictionPolicy: spec['unhealthyPodEvictionPolicy'] ?? null,
  };
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
  for (const [index, metric] of list(spec['metrics']).entries())
    validateMetric(errors, `spec.metrics[${index}]`, metric);
  return errors;
}

/** Where each type of metric stands. */
const metricFields: Readonly<Record<string, string>> = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
};

function validateMetric(errors: FieldError[], at: string, metric: Fields): void {
  const type = text(metric['type']);
  if (type === '') errors.push(required(`${at}.type`, 'must specify a metric source type'));
  if (metricFields[type] === undefined) errors.push(notSupported(`${at}.type`, type, Object.keys(metricFields)));
  const expected = metricFields[type];
  if (expected !== undefined && metric[expected] === undefined)
    errors.push(required(`${at}.${expected}`, 'must populate information for the given metric source'));
  const given = Object.values(metricFields).filter((field) => metric[field] !== undefined);
  if (given.length !== 1)
    for (const field of given)
      if (field !== expected) errors.push(forbidden(`${at}.${field}`, 'must populate the given metric source only'));
  const source = expected === undefined ? undefined : record(metric[expected]);
  if (source === undefined) return;
  validateTarget(errors, `${at}.${expected}.target`, record(source['target']) ?? {});
}

function validateTarget(errors: FieldError[], at: string, target: Fields): void {
  const type = text(target['type']);
  if (type === '') errors.push(required(`${at}.type`, 'must specify a metric target type'));
  else if (!['Utilization', 'Value', 'AverageValue'].includes(type))
    errors.push(invalid(`${at}.type`, type, 'must be either Utilization, Value, or AverageValue'));
}
