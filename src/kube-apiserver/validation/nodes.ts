/** Nodes. Taints are told under `metadata`, as upstream does. Source: ValidateNode, ValidateNodeUpdate of pkg/apis/core/validation. */
import { type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { labelValueProblems, qualifiedNameProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, list, record, text, words } from './fields.ts';
import { cidrText, cidrVersion } from './network-kinds.ts';

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateNode(node: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(node['spec']) ?? {};
  validateTaints(errors, spec['taints']);
  const ranges = words(spec['podCIDRs']);
  const versions = ranges.map(cidrVersion);
  for (const [index, version] of versions.entries())
    if (version === 0) errors.push(invalid(`spec.podCIDRs[${index}]`, ranges[index], cidrText));
  if (ranges.length > 2 || (ranges.length === 2 && versions[0] === versions[1]))
    errors.push(invalid('spec.podCIDRs', ranges, 'may specify no more than one CIDR for each IP family'));
  return errors;
}

function validateTaints(errors: FieldError[], taints: unknown): void {
  const seen = new Set<string>();
  for (const [index, taint] of list(taints).entries()) {
    const at = `metadata.taints[${index}]`;
    const [key, value, effect] = [text(taint['key']), text(taint['value']), text(taint['effect'])];
    check(errors, `${at}.key`, key, qualifiedNameProblems);
    const problems = labelValueProblems(value);
    if (problems.length > 0) errors.push(invalid(`${at}.value`, value, problems.join(';')));
    if (effect === '') errors.push(required(`${at}.effect`));
    else if (!effects.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, effects));
    if (seen.has(`${key}:${effect}`))
      errors.push({
        type: 'FieldValueDuplicate',
        field: at,
        // As upstream's internal record is printed.
        badValue: { Key: key, Value: value, Effect: effect, TimeAdded: taint['timeAdded'] ?? null },
        detail: 'taints must be unique by key and effect pair',
      });
    seen.add(`${key}:${effect}`);
  }
}

/** What else a node says of itself may be changed through its status alone. */
const changeable = new Set(['unschedulable', 'taints', 'podCIDR', 'podCIDRs', 'providerID', 'configSource']);

export function validateNodeUpdate(node: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const [spec, before] = [record(node['spec']) ?? {}, record(old['spec']) ?? {}];
  const [ranges, had] = [words(spec['podCIDRs']), words(before['podCIDRs'])];
  const keeps = 'node updates may not change podCIDR except from "" to valid';
  if (had.length > 0 && ranges.length !== had.length) errors.push(forbidden('spec.podCIDRs', keeps));
  else if (had.length > 0)
    for (const [index, range] of had.entries())
      if (range !== ranges[index]) errors.push(forbidden('spec.podCIDRs', keeps));
  if (text(before['providerID']) !== '' && spec['providerID'] !== before['providerID'])
    errors.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  validateTaints(errors, spec['taints']);
  const fixed = (fields: object) => Object.fromEntries(Object.entries(fields).filter(([key]) => !changeable.has(key)));
  if (!equal(fixed(spec), fixed(before)))
    errors.push(
      forbidden(
        // As Go prints a path of nothing.
        '[]',
        'node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig feature gate is enabled)',
      ),
    );
  return errors;
}
