/**
 * CustomResourceDefinitions: group, names, versions. What stands in their schemas is not looked at yet. Source: apiextensions/validation of
 * k8s.io/apiextensions-apiserver.
 */
import { type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { dns1035LabelProblems, dns1123SubdomainProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { type Fields, list, record, text, words } from './fields.ts';

export function validateDefinition(definition: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(definition['spec']) ?? {};
  const names = record(spec['names']) ?? {};
  const group = text(spec['group']);
  const { name = '' } = definition.metadata;
  if (name !== '' && name !== `${text(names['plural'])}.${group}`)
    errors.push(invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
  const problems = dns1123SubdomainProblems(group);
  if (group === '') errors.push(required('spec.group'));
  else if (problems.length > 0) errors.push(invalid('spec.group', group, problems.join(',')));
  else if (!group.includes('.')) errors.push(invalid('spec.group', group, 'should be a domain with at least one dot'));
  const scopes = ['Cluster', 'Namespaced'];
  const scope = text(spec['scope']);
  if (scope === '') errors.push(required('spec.scope'));
  else if (!scopes.includes(scope)) errors.push(notSupported('spec.scope', scope, scopes));
  validateVersions(errors, list(spec['versions']));
  for (const field of ['plural', 'singular', 'kind', 'listKind'])
    if (text(names[field]) === '') errors.push(required(`spec.names.${field}`));
  validateNames(errors, names);
  return errors;
}

function validateVersions(errors: FieldError[], versions: readonly Fields[]): void {
  const at = 'spec.versions';
  for (const [index, version] of versions.entries())
    if (record(version['schema'])?.['openAPIV3Schema'] === undefined)
      errors.push(required(`${at}[${index}].schema.openAPIV3Schema`));
  for (const [index, version] of versions.entries()) {
    const name = text(version['name']);
    const problems = dns1035LabelProblems(name);
    if (problems.length > 0) errors.push(invalid(`${at}[${index}].name`, name, problems.join(',')));
  }
  const shown = versions.map(internalVersion);
  if (new Set(versions.map(({ name }) => name)).size < versions.length)
    errors.push(invalid(at, shown, 'must contain unique version names'));
  if (versions.filter(({ storage }) => storage === true).length !== 1)
    errors.push(invalid(at, shown, 'must have exactly one version marked as storage version'));
}

/** As upstream's internal record is printed. */
function internalVersion(version: Fields): object {
  return {
    Name: text(version['name']),
    Served: version['served'] === true,
    Storage: version['storage'] === true,
    Deprecated: version['deprecated'] === true,
    DeprecationWarning: version['deprecationWarning'] ?? null,
    Schema: version['schema'] ?? null,
    Subresources: version['subresources'] ?? null,
    AdditionalPrinterColumns: version['additionalPrinterColumns'] ?? null,
    SelectableFields: version['selectableFields'] ?? null,
  };
}

function validateNames(errors: FieldError[], names: Fields): void {
  const label = (at: string, value: string, words = '') => {
    const problems = dns1035LabelProblems(words === '' ? value : value.toLowerCase());
    if (value !== '' && problems.length > 0)
      errors.push(invalid(`spec.names.${at}`, value, words + problems.join(',')));
  };
  const mixed = 'may have mixed case, but should otherwise match: ';
  const [kind, listKind] = [text(names['kind']), text(names['listKind'])];
  label('plural', text(names['plural']));
  label('singular', text(names['singular']));
  label('kind', kind, mixed);
  label('listKind', listKind, mixed);
  for (const [index, name] of words(names['shortNames']).entries()) label(`shortNames[${index}]`, name);
  if (kind !== '' && kind === listKind)
    errors.push(invalid('spec.names.listKind', listKind, 'kind and listKind may not be the same'));
  for (const [index, name] of words(names['categories']).entries()) label(`categories[${index}]`, name);
}
