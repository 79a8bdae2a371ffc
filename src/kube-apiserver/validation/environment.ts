/** Environment variables of containers, and references to a pod's own fields and resources. Source: pkg/apis/core/validation. */
import { type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import {
  configKeyProblems,
  dns1123SubdomainProblems,
  envVarNameProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import { check, type Fields, record, text } from './fields.ts';

const fieldsOfEnv = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
export const fieldsOfVolumes = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];
/** Whatever of a pod the downward API knows at all, in variables or in volumes. */
const knownFields = new Set([...fieldsOfEnv, ...fieldsOfVolumes, 'spec.restartPolicy', 'status.phase']);
const resources = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const byteDivisors = '1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei';

export function validateEnv(variables: readonly Fields[], at: string, errors: FieldError[]): void {
  for (const [index, variable] of variables.entries()) {
    const here = `${at}[${index}]`;
    const name = text(variable['name']);
    if (name === '') errors.push(required(`${here}.name`));
    else check(errors, `${here}.name`, name, envVarNameProblems);
    const from = record(variable['valueFrom']);
    if (from !== undefined) validateSource(from, text(variable['value']), `${here}.valueFrom`, errors);
  }
}

function validateSource(from: Fields, value: string, at: string, errors: FieldError[]): void {
  let sources = 0;
  const when = (name: string, validate: (inner: Fields, here: string) => void) => {
    const inner = record(from[name]);
    if (inner === undefined) return;
    sources++;
    validate(inner, `${at}.${name}`);
  };
  when('fieldRef', (inner, here) => validateFieldRef(inner, fieldsOfEnv, here, errors));
  when('resourceFieldRef', (inner, here) => validateResourceFieldRef(inner, here, false, errors));
  for (const name of ['configMapKeyRef', 'secretKeyRef'])
    when(name, (inner, here) => {
      check(errors, `${here}.name`, text(inner['name']), dns1123SubdomainProblems);
      if (text(inner['key']) === '') errors.push(required(`${here}.key`));
      else check(errors, `${here}.key`, text(inner['key']), configKeyProblems);
    });
  if ('fileKeyRef' in from) sources++;
  if (sources === 0)
    errors.push(
      invalid(at, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'),
    );
  else if (value !== '') errors.push(invalid(at, '', 'may not be specified when `value` is not empty'));
  else if (sources > 1) errors.push(invalid(at, '', 'may not have more than one field specified at a time'));
}

/** @param allowed sorted, as the message lists them */
export function validateFieldRef(
  reference: Fields,
  allowed: readonly string[],
  at: string,
  errors: FieldError[],
): void {
  const path = text(reference['fieldPath']);
  if (text(reference['apiVersion']) === '') {
    errors.push(required(`${at}.apiVersion`));
    return;
  }
  if (path === '') {
    errors.push(required(`${at}.fieldPath`));
    return;
  }
  const subscripted = /^([^[]*)\['(.*)'\]$/.exec(path);
  const base = subscripted?.[1] ?? path;
  if (!knownFields.has(base)) {
    errors.push(invalid(`${at}.fieldPath`, path, `error converting fieldPath: field label not supported: ${base}`));
    return;
  }
  if (subscripted === null) {
    if (!allowed.includes(path)) errors.push(notSupported(`${at}.fieldPath`, path, allowed));
    return;
  }
  const key = subscripted[2]!;
  if (base === 'metadata.annotations') check(errors, at, key.toLowerCase(), qualifiedNameProblems);
  else if (base === 'metadata.labels') check(errors, at, key, qualifiedNameProblems);
  else errors.push(invalid(at, base, 'does not support subscript'));
}

/** @param inVolume where no container is meant by the place of the reference */
export function validateResourceFieldRef(reference: Fields, at: string, inVolume: boolean, errors: FieldError[]): void {
  const resource = text(reference['resource']);
  const pages = /^(requests|limits)\.hugepages-/.test(resource);
  if (inVolume && text(reference['containerName']) === '') errors.push(required(`${at}.containerName`));
  else if (resource === '') errors.push(required(`${at}.resource`));
  else if (!resources.includes(resource) && !pages) errors.push(notSupported(`${at}.resource`, resource, resources));
  const divisor = text(reference['divisor']);
  if (divisor === '' || divisor === '0') return;
  const kind = pages ? 'hugepages' : resource.slice(resource.indexOf('.') + 1);
  const allowed = kind === 'cpu' ? ['1m', '1'] : byteDivisors.split(', ');
  if (allowed.includes(divisor) || (!pages && !resources.includes(resource))) return;
  const said: Readonly<Record<string, string>> = {
    cpu: "only divisor's values 1m and 1 are supported with the cpu resource",
    memory: `only divisor's values ${byteDivisors} are supported with the memory resource`,
    'ephemeral-storage': `only divisor's values ${byteDivisors} are supported with the local ephemeral storage resource`,
    hugepages: `only divisor's values ${byteDivisors} are supported with the hugepages resource`,
  };
  errors.push(invalid(`${at}.divisor`, resource, said[kind]!));
}

export function validateEnvFrom(sources: readonly Fields[], at: string, errors: FieldError[]): void {
  for (const [index, source] of sources.entries()) {
    const here = `${at}[${index}]`;
    if (text(source['prefix']) !== '') check(errors, `${here}.prefix`, text(source['prefix']), envVarNameProblems);
    let found = 0;
    for (const name of ['configMapRef', 'secretRef']) {
      const reference = record(source[name]);
      if (reference === undefined) continue;
      found++;
      if (text(reference['name']) === '') errors.push(required(`${here}.${name}.name`));
      else check(errors, `${here}.${name}.name`, text(reference['name']), dns1123SubdomainProblems);
    }
    // Upstream names the list here, not the entry.
    if (found === 0) errors.push(invalid(at, '', 'must specify one of: `configMapRef` or `secretRef`'));
    if (found > 1) errors.push(invalid(at, '', 'may not have more than one field specified at a time'));
  }
}
