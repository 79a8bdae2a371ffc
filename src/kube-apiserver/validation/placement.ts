/** Where a pod may run: affinity, tolerations, topology spread. Source: pkg/apis/core/validation. */
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import { check, type Fields, list, record, text, words } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';

export function validateAffinity(affinity: Fields, at: string, errors: FieldError[]): void {
  const node = record(affinity['nodeAffinity']);
  if (node !== undefined) validateNodeAffinity(node, `${at}.nodeAffinity`, errors);
  for (const name of ['podAffinity', 'podAntiAffinity']) {
    const pods = record(affinity[name]);
    if (pods === undefined) continue;
    const here = `${at}.${name}`;
    const hard = 'requiredDuringSchedulingIgnoredDuringExecution';
    for (const [index, term] of list(pods[hard]).entries()) validatePodTerm(term, `${here}.${hard}[${index}]`, errors);
    const soft = 'preferredDuringSchedulingIgnoredDuringExecution';
    for (const [index, weighted] of list(pods[soft]).entries()) {
      validateWeight(weighted['weight'], `${here}.${soft}[${index}].weight`, errors);
      validatePodTerm(record(weighted['podAffinityTerm']) ?? {}, `${here}.${soft}[${index}].podAffinityTerm`, errors);
    }
  }
}

function validateNodeAffinity(affinity: Fields, at: string, errors: FieldError[]): void {
  const hard = record(affinity['requiredDuringSchedulingIgnoredDuringExecution']);
  if (hard !== undefined) validateNodeSelector(hard, `${at}.requiredDuringSchedulingIgnoredDuringExecution`, errors);
  const soft = 'preferredDuringSchedulingIgnoredDuringExecution';
  for (const [index, weighted] of list(affinity[soft]).entries()) {
    const here = `${at}.${soft}[${index}]`;
    validateWeight(weighted['weight'], `${here}.weight`, errors);
    // A preference that no label can meet does no harm.
    validateTerm(record(weighted['preference']) ?? {}, `${here}.preference`, false, errors);
  }
}

export function validateNodeSelector(selector: Fields, at: string, errors: FieldError[]): void {
  const terms = list(selector['nodeSelectorTerms']);
  if (terms.length === 0) errors.push(required(`${at}.nodeSelectorTerms`, 'must have at least one node selector term'));
  for (const [index, term] of terms.entries()) validateTerm(term, `${at}.nodeSelectorTerms[${index}]`, true, errors);
}

function validateWeight(weight: unknown, at: string, errors: FieldError[]): void {
  const value = (weight ?? 0) as number;
  if (value <= 0 || value > 100) errors.push(invalid(at, value, 'must be in the range 1-100'));
}

function validateTerm(term: Fields, at: string, checkValues: boolean, errors: FieldError[]): void {
  for (const [index, requirement] of list(term['matchExpressions']).entries()) {
    const here = `${at}.matchExpressions[${index}]`;
    const values = words(requirement['values']);
    switch (requirement['operator']) {
      case 'In':
      case 'NotIn':
        if (values.length === 0)
          errors.push(required(`${here}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0)
          errors.push(
            forbidden(`${here}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        break;
      case 'Gt':
      case 'Lt':
        if (values.length !== 1)
          errors.push(required(`${here}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
        break;
      default:
        errors.push(invalid(`${here}.operator`, text(requirement['operator']), 'not a valid selector operator'));
    }
    check(errors, `${here}.key`, text(requirement['key']), qualifiedNameProblems);
    if (checkValues)
      for (const [i, value] of values.entries()) check(errors, `${here}.values[${i}]`, value, labelValueProblems);
  }
  for (const [index, requirement] of list(term['matchFields']).entries()) {
    const here = `${at}.matchFields[${index}]`;
    const values = words(requirement['values']);
    if (requirement['operator'] !== 'In' && requirement['operator'] !== 'NotIn')
      errors.push(invalid(`${here}.operator`, text(requirement['operator']), 'not a valid selector operator'));
    else if (values.length !== 1)
      errors.push(
        required(`${here}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
      );
    if (requirement['key'] !== 'metadata.name')
      errors.push(invalid(`${here}.key`, text(requirement['key']), 'not a valid field selector key'));
    else
      for (const [i, value] of values.entries()) check(errors, `${here}.values[${i}]`, value, dns1123SubdomainProblems);
  }
}

function validatePodTerm(term: Fields, at: string, errors: FieldError[]): void {
  for (const name of ['labelSelector', 'namespaceSelector']) {
    const selector = record(term[name]);
    if (selector !== undefined) validateLabelSelector(selector, `${at}.${name}`, errors);
  }
  for (const name of words(term['namespaces'])) check(errors, `${at}.namespace`, name, dns1123LabelProblems);
  const key = text(term['topologyKey']);
  if (key === '') errors.push(required(`${at}.topologyKey`, 'can not be empty'));
  check(errors, `${at}.topologyKey`, key, qualifiedNameProblems);
}

export function validateTolerations(tolerations: readonly Fields[], at: string, errors: FieldError[]): void {
  for (const [index, toleration] of tolerations.entries()) {
    const here = `${at}[${index}]`;
    const operator = text(toleration['operator']);
    const value = text(toleration['value']);
    const effect = text(toleration['effect']);
    if (text(toleration['key']) !== '') check(errors, `${here}.key`, text(toleration['key']), qualifiedNameProblems);
    else if (operator !== 'Exists')
      errors.push(
        invalid(
          `${here}.operator`,
          operator,
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    if (toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute')
      errors.push(invalid(`${here}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    if (operator === '' || operator === 'Equal') {
      const problems = labelValueProblems(value);
      if (problems.length > 0) errors.push(invalid(`${here}.operator`, value, problems.join(';')));
    } else if (operator === 'Exists') {
      if (value !== '')
        errors.push(invalid(`${here}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    } else errors.push(notSupported(`${here}.operator`, operator, ['Equal', 'Exists']));
    if (effect !== '' && !taintEffects.includes(effect))
      errors.push(notSupported(`${here}.effect`, effect, taintEffects));
  }
}

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const whenUnsatisfiable = ['DoNotSchedule', 'ScheduleAnyway'];

export function validateTopologySpread(constraints: readonly Fields[], at: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, constraint] of constraints.entries()) {
    const here = `${at}[${index}]`;
    const skew = (constraint['maxSkew'] ?? 0) as number;
    if (skew <= 0) errors.push(invalid(`${here}.maxSkew`, skew, 'must be greater than zero'));
    const key = text(constraint['topologyKey']);
    if (key === '') errors.push(required(`${here}.topologyKey`, 'can not be empty'));
    else check(errors, `${here}.topologyKey`, key, qualifiedNameProblems);
    const when = text(constraint['whenUnsatisfiable']);
    if (!whenUnsatisfiable.includes(when))
      errors.push(notSupported(`${here}.whenUnsatisfiable`, when, whenUnsatisfiable));
    const pair = `{${key}, ${when}}`;
    if (seen.has(pair)) errors.push(duplicate(`${here}.{topologyKey, whenUnsatisfiable}`, pair));
    seen.add(pair);
    const domains = constraint['minDomains'] as number | undefined;
    if (domains !== undefined) {
      if (domains <= 0) errors.push(invalid(`${here}.minDomains`, domains, 'must be greater than zero'));
      if (when === 'ScheduleAnyway')
        errors.push(
          invalid(
            `${here}.minDomains`,
            domains,
            'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
          ),
        );
    }
    for (const field of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) {
      const policy = constraint[field];
      if (policy !== undefined && policy !== 'Honor' && policy !== 'Ignore')
        errors.push(notSupported(`${here}.${field}`, policy, ['Honor', 'Ignore']));
    }
    const selector = record(constraint['labelSelector']);
    if (selector !== undefined) validateLabelSelector(selector, `${here}.labelSelector`, errors);
  }
}
