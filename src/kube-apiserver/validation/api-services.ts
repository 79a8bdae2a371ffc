/** APIServices. Source: apiregistration/validation of k8s.io/kube-aggregator. */
import { type FieldError, invalid, required } from '#kube-machinery/field-error.ts';
import { dns1035LabelProblems, dns1123SubdomainProblems, pathSegmentProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, record, text } from './fields.ts';

const groupPriorityMax = 20_000;
const versionPriorityMax = 1000;

export function validateApiService(service: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(service['spec']) ?? {};
  const [group, version] = [text(spec['group']), text(spec['version'])];
  const { name = '' } = service.metadata;
  const wanted = `${version}.${group}`;
  if (pathSegmentProblems(name).length === 0 && name !== wanted)
    errors.push(invalid('metadata.name', name, `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`));
  if (group === '' && version !== 'v1')
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  if (group !== '') check(errors, 'spec.group', group, dns1123SubdomainProblems);
  check(errors, 'spec.version', version, dns1035LabelProblems);
  const inRange = (field: string, max: number) => {
    const value = (spec[field] ?? 0) as number;
    if (value <= 0 || value > max)
      errors.push(invalid(`spec.${field}`, value, `must be positive and less than ${max}`));
  };
  inRange('groupPriorityMinimum', groupPriorityMax);
  inRange('versionPriority', versionPriorityMax);
  const bundle = Buffer.from(text(spec['caBundle']), 'base64').length;
  const insecure = spec['insecureSkipTLSVerify'] === true;
  const at = record(spec['service']);
  if (at === undefined) {
    if (bundle > 0)
      errors.push(invalid('spec.caBundle', `${bundle} bytes`, 'local APIServices may not have a caBundle'));
    if (insecure)
      errors.push(invalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'));
    return errors;
  }
  for (const field of ['namespace', 'name']) if (text(at[field]) === '') errors.push(required(`spec.service.${field}`));
  if (insecure && bundle > 0)
    errors.push(invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  return errors;
}
