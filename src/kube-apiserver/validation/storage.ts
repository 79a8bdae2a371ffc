/** Claims, volumes and classes of storage. Source: pkg/apis/core/validation, pkg/apis/storage/validation. */
import { type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { dns1123SubdomainProblems, qualifiedNameProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, choose, type Fields, noBacksteps, record, text, words } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { nanosOf } from './resources.ts';

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

function validateAccess(spec: Fields, detail: string, errors: FieldError[]): void {
  const modes = words(spec['accessModes']);
  if (modes.length === 0) errors.push(required('spec.accessModes', detail));
  for (const mode of modes)
    if (!accessModes.includes(mode)) errors.push(notSupported('spec.accessModes', mode, accessModes));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1)
    errors.push(forbidden('spec.accessModes', 'may not use ReadWriteOncePod with other access modes'));
}

function validateVolumeMode(spec: Fields, errors: FieldError[]): void {
  const mode = spec['volumeMode'];
  if (mode !== undefined && mode !== 'Block' && mode !== 'Filesystem')
    errors.push(notSupported('spec.volumeMode', mode, ['Block', 'Filesystem']));
}

/** What storage may be measured in is bytes, and some of them. */
function validateSize(errors: FieldError[], at: string, size: unknown): void {
  const nanos = nanosOf(size as string | undefined);
  if (nanos === undefined) errors.push(required(at));
  else if (nanos <= 0n) errors.push(invalid(at, size, 'must be greater than zero'));
}

export function validateClaim(claim: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(claim['spec']) ?? {};
  const selector = record(spec['selector']);
  validateAccess(spec, 'at least 1 access mode is required', errors);
  if (selector !== undefined) validateLabelSelector(selector, 'spec.selector', errors);
  validateSize(errors, 'spec.resources[storage]', record(record(spec['resources'])?.['requests'])?.['storage']);
  const className = text(spec['storageClassName']);
  if (className !== '') check(errors, 'spec.storageClassName', className, dns1123SubdomainProblems);
  validateVolumeMode(spec, errors);
  return errors;
}

/** Bound, a claim may grow; else only its volume may be filled in. */
export function validateClaimUpdate(claim: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateClaim(claim);
  const spec = record(claim['spec']) ?? {};
  const before = record(old['spec']) ?? {};
  const bound = record(old['status'])?.['phase'] === 'Bound';
  const fixed = (fields: Fields): Fields => {
    const { volumeName, resources, volumeAttributesClassName: _, ...rest } = fields;
    return {
      ...rest,
      ...(text(before['volumeName']) !== '' && { volumeName }),
      ...(!bound && { resources }),
    };
  };
  if (!equal(fixed(spec), fixed(before)))
    errors.push(
      forbidden(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ),
    );
  const size = (fields: Fields) => nanosOf(record(record(fields['resources'])?.['requests'])?.['storage'] as string);
  if (bound && (size(spec) ?? 0n) < (size(before) ?? 0n))
    errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  return errors;
}

const sourcesNot = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

export function validatePersistentVolume(volume: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(volume['spec']) ?? {};
  validateAccess(spec, '', errors);
  const capacity = record(spec['capacity']) ?? {};
  if (Object.keys(capacity).length === 0) errors.push(required('spec.capacity'));
  else if (capacity['storage'] === undefined || Object.keys(capacity).length > 1)
    errors.push(notSupported('spec.capacity', capacity, ['storage']));
  else validateSize(errors, 'spec.capacity[storage]', capacity['storage']);
  const policy = spec['persistentVolumeReclaimPolicy'];
  const policies = ['Delete', 'Recycle', 'Retain'];
  if (policy !== undefined && !policies.includes(policy as string))
    errors.push(notSupported('spec.persistentVolumeReclaimPolicy', policy, policies));
  const sources = Object.keys(spec).filter((field) => !sourcesNot.has(field));
  if (sources.length === 0) errors.push(required('spec', 'must specify a volume type'));
  for (const extra of sources.slice(1))
    errors.push(forbidden(`spec.${extra}`, 'may not specify more than 1 volume type'));
  const hostPath = text(record(spec['hostPath'])?.['path']);
  if (spec['hostPath'] !== undefined) {
    if (hostPath === '') errors.push(required('spec.hostPath.path'));
    else noBacksteps(errors, 'spec.hostPath.path', hostPath);
    if (/^\/+$/.test(hostPath) && policy === 'Recycle')
      errors.push(forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"));
  }
  validateVolumeMode(spec, errors);
  return errors;
}

export function validateStorageClass(storage: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const provisioner = text(storage['provisioner']);
  if (provisioner === '') errors.push(required('provisioner'));
  else check(errors, 'provisioner', provisioner.toLowerCase(), qualifiedNameProblems);
  const policy = storage['reclaimPolicy'];
  if (policy !== undefined && policy !== 'Delete' && policy !== 'Retain')
    errors.push(notSupported('reclaimPolicy', policy, ['Delete', 'Retain']));
  choose(errors, 'volumeBindingMode', storage['volumeBindingMode'], ['Immediate', 'WaitForFirstConsumer']);
  return errors;
}

export function validateStorageClassUpdate(storage: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateStorageClass(storage);
  for (const field of ['parameters', 'provisioner', 'reclaimPolicy'])
    if (!equal(storage[field] ?? null, old[field] ?? null))
      errors.push(forbidden(field, `updates to ${field} are forbidden.`));
  if (storage['volumeBindingMode'] !== old['volumeBindingMode'])
    errors.push(invalid('volumeBindingMode', storage['volumeBindingMode'], 'field is immutable'));
  return errors;
}
