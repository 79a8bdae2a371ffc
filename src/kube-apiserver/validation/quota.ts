/** Quotas and limit ranges. Source: ValidateResourceQuota and ValidateLimitRange of pkg/apis/core/validation. */
import { duplicate, type FieldError, forbidden, invalid, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { qualifiedNameProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, list, record, text, words } from './fields.ts';
import { nanosOf } from './resources.ts';

const oneNanos = 1_000_000_000n;
const negative = 'must be greater than or equal to 0';
const notStandard = 'must be a standard resource type or fully qualified';

const counted = [
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
];
const computed = [
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
];
const quotaNames = new Set([...counted, ...computed, 'requests.storage']);
const isPages = (name: string) => /^(requests\.)?hugepages-/.test(name);
const isQuotaName = (name: string) => quotaNames.has(name) || isPages(name);
const isStandardName = (name: string) => isQuotaName(name) || name === 'storage';
const isContainerName = (name: string) => ['cpu', 'memory', 'ephemeral-storage'].includes(name) || isPages(name);

type Amounts = Readonly<Record<string, string>>;
const amounts = (value: unknown) => (value ?? {}) as Amounts;

/** A resource's name is a standard one or has a domain. @returns whether it is a name at all */
function checkName(errors: FieldError[], at: string, name: string): boolean {
  const problems = qualifiedNameProblems(name);
  for (const problem of problems) errors.push(invalid(at, name, problem));
  if (problems.length > 0) return false;
  if (!name.includes('/') && !isStandardName(name)) errors.push(invalid(at, name, notStandard));
  return true;
}

export function validateResourceQuota(quota: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(quota['spec']) ?? {};
  checkAmounts(errors, 'spec.hard', amounts(spec['hard']));
  checkScopes(errors, spec);
  const status = record(quota['status']) ?? {};
  checkAmounts(errors, 'status.hard', amounts(status['hard']));
  checkAmounts(errors, 'status.used', amounts(status['used']));
  return errors;
}

function checkAmounts(errors: FieldError[], at: string, values: Amounts): void {
  for (const [name, amount] of Object.entries(values)) {
    const here = `${at}[${name}]`;
    checkName(errors, here, name);
    if (!name.includes('/') && !isQuotaName(name))
      errors.push(invalid(here, name, 'must be a standard resource for quotas'));
    const nanos = nanosOf(amount) ?? 0n;
    if (nanos < 0n) errors.push(invalid(here, amount, negative));
    if (counted.includes(name) && nanos % oneNanos !== 0n) errors.push(invalid(here, amount, 'must be an integer'));
  }
}

/** Scopes that choose pods, and the resources that may be counted under them. */
const podScopes = ['Terminating', 'NotTerminating', 'NotBestEffort', 'PriorityClass', 'CrossNamespacePodAffinity'];
const scopes = [...podScopes, 'BestEffort', 'VolumeAttributesClass'];
const exclusive = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
];

function covers(scope: string, name: string): boolean {
  if (scope === 'VolumeAttributesClass') return name === 'persistentvolumeclaims' || name === 'requests.storage';
  return scope === 'BestEffort' ? name === 'pods' : name === 'pods' || computed.includes(name);
}

function checkScopes(errors: FieldError[], spec: Fields): void {
  const at = 'spec.scopes';
  const given = words(spec['scopes']);
  const names = Object.keys(amounts(spec['hard']));
  const unfit = (scope: string) => names.some((name) => isQuotaName(name) && !covers(scope, name));
  for (const scope of given) {
    if (!scopes.includes(scope)) errors.push(invalid(at, given, 'unsupported scope'));
    if (unfit(scope)) errors.push(invalid(at, given, 'unsupported scope applied to resource'));
  }
  for (const pair of exclusive)
    if (pair.every((scope) => given.includes(scope))) errors.push(invalid(at, given, 'conflicting scopes'));

  const selector = record(spec['scopeSelector']);
  if (selector === undefined) return;
  const here = 'spec.scopeSelector.matchExpressions';
  const seen = new Set<string>();
  for (const requirement of list(selector['matchExpressions'])) {
    const scope = text(requirement['scopeName']);
    const operator = text(requirement['operator']);
    const values = words(requirement['values']);
    if (!scopes.includes(scope)) errors.push(invalid(`${here}.scopeName`, scope, 'unsupported scope'));
    if (unfit(scope)) errors.push(invalid(here, [requirement], 'unsupported scope applied to resource'));
    if (!['PriorityClass', 'VolumeAttributesClass'].includes(scope) && scopes.includes(scope) && operator !== 'Exists')
      errors.push(
        invalid(
          `${here}.operator`,
          operator,
          "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        ),
      );
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0)
        errors.push(
          required(
            `${here}.values`,
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
          ),
        );
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length > 0)
        errors.push(
          invalid(
            `${here}.values`,
            values,
            "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector",
          ),
        );
    } else errors.push(invalid(`${here}.operator`, operator, 'not a valid selector operator'));
    seen.add(scope);
  }
  for (const pair of exclusive)
    if (pair.every((scope) => seen.has(scope)))
      errors.push(invalid(here, list(selector['matchExpressions']), 'conflicting scopes'));
}

export function validateResourceQuotaUpdate(quota: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateResourceQuota(quota);
  const scopesOf = (object: KubeObject) => words(record(object['spec'])?.['scopes']);
  if (!equal([...scopesOf(quota)].sort(), [...scopesOf(old)].sort()))
    errors.push(invalid('spec.scopes', scopesOf(quota), 'field is immutable'));
  return errors;
}

export function validateLimitRange(range: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, limit] of list(record(range['spec'])?.['limits']).entries()) {
    const at = `spec.limits[${index}]`;
    const type = text(limit['type']);
    check(errors, `${at}.type`, type, qualifiedNameProblems);
    if (qualifiedNameProblems(type).length === 0 && !type.includes('/') && !limitTypes.includes(type))
      errors.push(invalid(`${at}.type`, type, 'must be a standard limit type or fully qualified'));
    if (seen.has(type)) errors.push(duplicate(`${at}.type`, type));
    seen.add(type);
    checkLimit(errors, at, type, limit);
  }
  return errors;
}

const limitTypes = ['Pod', 'Container', 'PersistentVolumeClaim'];
const limitFields = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

function checkLimit(errors: FieldError[], at: string, type: string, limit: Fields): void {
  const keys = new Set<string>();
  for (const field of limitFields) {
    const values = amounts(limit[field]);
    const ofPod = type === 'Pod' && field.startsWith('default');
    if (ofPod && Object.keys(values).length > 0)
      errors.push(forbidden(`${at}.${field}`, "may not be specified when `type` is 'Pod'"));
    for (const name of Object.keys(values)) {
      keys.add(name);
      if (ofPod) continue;
      const here = `${at}.${field}[${name}]`;
      const named = checkName(errors, here, name);
      if (
        named &&
        type !== 'PersistentVolumeClaim' &&
        limitTypes.includes(type) &&
        !name.includes('/') &&
        !isContainerName(name)
      )
        errors.push(invalid(here, name, 'must be a standard resource for containers'));
    }
    if (field === 'defaultRequest' && type === 'PersistentVolumeClaim')
      if (amounts(limit['min'])['storage'] === undefined && amounts(limit['max'])['storage'] === undefined)
        errors.push(
          required(`${at}.limits`, 'either minimum or maximum storage value is required, but neither was provided'),
        );
  }
  for (const key of keys) compareLimits(errors, at, key, limit);
}

function compareLimits(errors: FieldError[], at: string, key: string, limit: Fields): void {
  const value = (field: (typeof limitFields)[number]) => amounts(limit[field])[key];
  const [max, min, normal, request, ratio] = limitFields.map(value);
  const more = (a: string | undefined, b: string | undefined): boolean => {
    const [first, second] = [nanosOf(a), nanosOf(b)];
    return first !== undefined && second !== undefined && first > second;
  };
  const refuse = (field: string, bad: string | undefined, detail: string) =>
    errors.push(invalid(`${at}.${field}[${key}]`, bad, detail));
  if (more(min, max)) refuse('min', min, `min value ${min} is greater than max value ${max}`);
  if (more(min, request))
    refuse('defaultRequest', request, `min value ${min} is greater than default request value ${request}`);
  if (more(request, max))
    refuse('defaultRequest', request, `default request value ${request} is greater than max value ${max}`);
  if (more(request, normal))
    refuse('defaultRequest', request, `default request value ${request} is greater than default limit value ${normal}`);
  if (more(min, normal)) refuse('default', min, `min value ${min} is greater than default value ${normal}`);
  if (more(normal, max)) refuse('default', max, `default value ${normal} is greater than max value ${max}`);
  const share = nanosOf(ratio);
  if (share === undefined) return;
  if (share < oneNanos) refuse('maxLimitRequestRatio', ratio, `ratio ${ratio} is less than 1`);
  const [least, most] = [nanosOf(min), nanosOf(max)];
  if (least === undefined || most === undefined || least === 0n) return;
  const highest = Number(most) / Number(least);
  if (Number(share) / Number(oneNanos) > highest)
    refuse('maxLimitRequestRatio', ratio, `ratio ${ratio} is greater than max/min = ${highest.toFixed(6)}`);
}
