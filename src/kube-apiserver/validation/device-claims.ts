/**
 * Device classes, claims and their templates. Expressions are not compiled yet. Source: pkg/apis/resource/validation.
 */
import { type FieldError, invalid, notSupported, required, tooMany } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { dns1123LabelProblems, dns1123SubdomainProblems, qualifiedNameProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, duplicatesOf, type Fields, list, record, text, words } from './fields.ts';
import { validateLabels } from './metadata.ts';
import { checkDriverName } from './storage-drivers.ts';

/** Requests, constraints, configurations, selectors. */
const entriesMax = 32;
const alternativesMax = 8;
const expressionBytesMax = 10 << 10;

export function validateDeviceClass(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(object['spec']) ?? {};
  validateSelectors(errors, 'spec.selectors', spec['selectors']);
  limited(errors, 'spec.config', spec['config'], (config, at) => validateConfiguration(errors, at, config));
  const name = spec['extendedResourceName'] as string | undefined;
  if (name !== undefined && !isExtended(name))
    errors.push(invalid('spec.extendedResourceName', name, 'must be a valid extended resource name'));
  return errors;
}

/** A resource of somebody's own domain that quotas can name. */
function isExtended(name: string): boolean {
  const domain = name.slice(0, Math.max(name.indexOf('/'), 0));
  const native = domain === '' || domain === 'kubernetes.io' || domain.endsWith('.kubernetes.io');
  return !native && !name.startsWith('requests.') && qualifiedNameProblems(`requests.${name}`).length === 0;
}

export function validateClaim(object: KubeObject): FieldError[] {
  return validateClaimSpec(record(object['spec']) ?? {}, 'spec');
}

export function validateClaimTemplate(object: KubeObject): FieldError[] {
  const spec = record(object['spec']) ?? {};
  const { labels } = (record(spec['metadata']) ?? {}) as { labels?: Readonly<Record<string, string>> };
  return [
    ...validateLabels(labels, 'spec.metadata.labels'),
    ...validateClaimSpec(record(spec['spec']) ?? {}, 'spec.spec'),
  ];
}

export function validateSpecUnchanged(object: KubeObject, old: KubeObject): FieldError[] {
  return equal(object['spec'], old['spec']) ? [] : [invalid('spec', object['spec'] ?? {}, 'field is immutable')];
}

function validateClaimSpec(spec: Fields, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const devices = record(spec['devices']) ?? {};
  const requests = list(devices['requests']);
  const known = new Set(
    requests.flatMap(({ name, firstAvailable }) => [
      text(name),
      ...list(firstAvailable).map((inner) => `${text(name)}/${text(inner['name'])}`),
    ]),
  );
  const here = `${at}.devices`;
  limited(errors, `${here}.requests`, requests, (request, path) => validateRequest(errors, path, request));
  duplicatesOf(
    errors,
    `${here}.requests`,
    requests.map(({ name }) => text(name)),
  );
  limited(errors, `${here}.constraints`, devices['constraints'], (constraint, path) => {
    validateReferences(errors, `${path}.requests`, constraint['requests'], known);
    if (constraint['matchAttribute'] === undefined && constraint['distinctAttribute'] === undefined)
      errors.push(required(`${path}.matchAttribute`));
  });
  limited(errors, `${here}.config`, devices['config'], (config, path) => {
    validateReferences(errors, `${path}.requests`, config['requests'], known);
    validateConfiguration(errors, path, config);
  });
  return errors;
}

function validateRequest(errors: FieldError[], at: string, request: Fields): void {
  check(errors, `${at}.name`, text(request['name']), dns1123LabelProblems);
  const exactly = record(request['exactly']);
  const alternatives = list(request['firstAvailable']);
  const one = 'exactly one of `exactly` or `firstAvailable` is required';
  if (exactly !== undefined && alternatives.length > 0)
    errors.push(invalid(at, null, `${one}, but multiple fields are set`));
  else if (exactly !== undefined) validateWanted(errors, `${at}.exactly`, exactly);
  else if (alternatives.length > 0) {
    const path = `${at}.firstAvailable`;
    if (alternatives.length > alternativesMax) errors.push(tooMany(path, alternatives.length, alternativesMax));
    for (const [index, alternative] of alternatives.entries()) {
      check(errors, `${path}[${index}].name`, text(alternative['name']), dns1123LabelProblems);
      validateWanted(errors, `${path}[${index}]`, alternative);
    }
    duplicatesOf(
      errors,
      path,
      alternatives.map(({ name }) => text(name)),
    );
  } else errors.push(required(at, one));
}

function validateWanted(errors: FieldError[], at: string, wanted: Fields): void {
  const name = text(wanted['deviceClassName']);
  if (name === '') errors.push(required(`${at}.deviceClassName`));
  else check(errors, `${at}.deviceClassName`, name, dns1123SubdomainProblems);
  validateSelectors(errors, `${at}.selectors`, wanted['selectors']);
  const mode = text(wanted['allocationMode']);
  const count = (wanted['count'] ?? 0) as number;
  if (mode === 'All') {
    if (count !== 0) errors.push(invalid(`${at}.count`, count, "must not be specified when allocationMode is 'All'"));
  } else if (mode === 'ExactCount') {
    if (count <= 0) errors.push(invalid(`${at}.count`, count, 'must be greater than zero'));
  } else errors.push(notSupported(`${at}.allocationMode`, mode, ['All', 'ExactCount']));
}

function validateSelectors(errors: FieldError[], at: string, selectors: unknown): void {
  limited(errors, at, selectors, (selector, path) => {
    const cel = record(selector['cel']);
    if (cel === undefined) errors.push(required(`${path}.cel`));
    else if (Buffer.byteLength(text(cel['expression'])) > expressionBytesMax)
      errors.push({
        type: 'FieldValueTooLong',
        field: `${path}.cel.expression`,
        detail: `may not be more than ${expressionBytesMax} bytes`,
      });
  });
}

function validateConfiguration(errors: FieldError[], at: string, config: Fields): void {
  const opaque = record(config['opaque']);
  if (opaque === undefined) {
    errors.push(required(`${at}.opaque`));
    return;
  }
  checkDriverName(errors, `${at}.opaque.driver`, text(opaque['driver']));
  if (opaque['parameters'] === undefined) errors.push(required(`${at}.opaque.parameters`));
  else if (record(opaque['parameters']) === null || typeof opaque['parameters'] !== 'object')
    errors.push(invalid(`${at}.opaque.parameters`, '<value omitted>', 'must be a valid JSON object'));
}

const referenceText =
  "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

function validateReferences(errors: FieldError[], at: string, names: unknown, known: ReadonlySet<string>): void {
  for (const [index, name] of words(names).entries()) {
    const segments = name.split('/');
    if (segments.length <= 2)
      for (const segment of segments) check(errors, `${at}[${index}]`, segment, dns1123LabelProblems);
    if (!known.has(name)) errors.push(invalid(`${at}[${index}]`, name, referenceText));
  }
}

function limited(errors: FieldError[], at: string, value: unknown, each: (item: Fields, at: string) => void): void {
  const items = list(value);
  for (const [index, item] of items.entries()) each(item, `${at}[${index}]`);
  if (items.length > entriesMax) errors.push(tooMany(at, items.length, entriesMax));
}

const nodeFields = ['nodeName', 'nodeSelector', 'allNodes', 'perDeviceNodeSelection'];
const oneNode = `exactly one of ${nodeFields.map((field) => `\`${field}\``).join(', ')} is required`;

export function validateResourceSlice(slice: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(slice['spec']) ?? {};
  checkDriverName(errors, 'spec.driver', text(spec['driver']));
  const pool = record(spec['pool']) ?? {};
  const name = text(pool['name']);
  if (name === '') errors.push(required('spec.pool.name'));
  else for (const part of name.split('/')) check(errors, 'spec.pool.name', part, dns1123SubdomainProblems);
  if (((pool['resourceSliceCount'] ?? 0) as number) <= 0)
    errors.push(invalid('spec.pool.resourceSliceCount', pool['resourceSliceCount'] ?? 0, 'must be greater than zero'));
  if (((pool['generation'] ?? 0) as number) < 0)
    errors.push(invalid('spec.pool.generation', pool['generation'], 'must be greater than or equal to zero'));
  const given: string[] = [];
  const node = spec['nodeName'] as string | undefined;
  if (node === '') errors.push(invalid('spec.nodeName', node, 'must be either unset or set to a non-empty string'));
  else if (node !== undefined) {
    given.push('`nodeName`');
    check(errors, 'spec.nodeName', node, dns1123SubdomainProblems);
  }
  if (spec['nodeSelector'] !== undefined) given.push('`nodeSelector`');
  for (const field of ['allNodes', 'perDeviceNodeSelection']) {
    if (spec[field] === true) given.push(`\`${field}\``);
    else if (spec[field] === false) errors.push(invalid(`spec.${field}`, false, 'must be either unset or set to true'));
  }
  if (given.length === 0) errors.push(required('spec', oneNode));
  else if (given.length > 1)
    errors.push(invalid('spec', `{${given.join(', ')}}`, `${oneNode}, but multiple fields are set`));
  const names = list(spec['devices']).map((device) => text(device['name']));
  for (const [index, device] of names.entries())
    check(errors, `spec.devices[${index}].name`, device, dns1123LabelProblems);
  duplicatesOf(errors, 'spec.devices', names);
  return errors;
}

export function validateResourceSliceUpdate(slice: KubeObject, old: KubeObject): FieldError[] {
  const [spec, before] = [record(slice['spec']) ?? {}, record(old['spec']) ?? {}];
  const errors: FieldError[] = [];
  const fixed = (at: string, after: unknown, was: unknown) => {
    if (!equal(after ?? null, was ?? null)) errors.push(invalid(at, after ?? null, 'field is immutable'));
  };
  fixed('spec.pool.name', record(spec['pool'])?.['name'], record(before['pool'])?.['name']);
  fixed('spec.driver', spec['driver'], before['driver']);
  fixed('spec.nodeName', spec['nodeName'], before['nodeName']);
  return [...errors, ...validateResourceSlice(slice)];
}
