/** What CSI drivers and attachers write. Source: pkg/apis/storage/validation. */
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { dns1123SubdomainProblems, qualifiedNameProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, list, nonNegative, record, text, words } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { nanosOf } from './resources.ts';

const driverNameMax = 63;
const nodeIdMax = 192;
const tokenSecondsMin = 600;
const tokenSecondsMax = 2 ** 32;
const groupPolicies = ['File', 'None', 'ReadWriteOnceWithFSType'];
const lifecycleModes = ['Ephemeral', 'Persistent'];

export function checkDriverName(errors: FieldError[], at: string, name: string): void {
  if (name === '') {
    errors.push(required(at));
    return;
  }
  if (name.length > driverNameMax) errors.push(tooLong(at, driverNameMax));
  for (const problem of dns1123SubdomainProblems(name.toLowerCase())) errors.push(invalid(at, name, problem));
}

export function validateCsiDriver(driver: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(driver['spec']) ?? {};
  // The path of the first is spelled as upstream spells it.
  if (spec['attachRequired'] === undefined) errors.push(required('spec.attachedRequired'));
  for (const field of ['podInfoOnMount', 'storageCapacity'])
    if (spec[field] === undefined) errors.push(required(`spec.${field}`));
  const policy = spec['fsGroupPolicy'];
  if (policy === undefined) errors.push(required('spec.fsGroupPolicy'));
  else if (!groupPolicies.includes(policy as string))
    errors.push(notSupported('spec.fsGroupPolicy', policy, groupPolicies));
  const audiences = new Set<string>();
  for (const [index, request] of list(spec['tokenRequests']).entries()) {
    const at = `spec.tokenRequests[${index}]`;
    const audience = text(request['audience']);
    if (audiences.has(audience)) errors.push(duplicate(`${at}.audience`, audience));
    audiences.add(audience);
    const seconds = request['expirationSeconds'] as number | undefined;
    if (seconds === undefined) continue;
    if (seconds < tokenSecondsMin)
      errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
    if (seconds > tokenSecondsMax)
      errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'));
  }
  for (const mode of words(spec['volumeLifecycleModes']))
    if (!lifecycleModes.includes(mode)) errors.push(notSupported('spec.volumeLifecycleModes', mode, lifecycleModes));
  if (spec['seLinuxMount'] === undefined) errors.push(required('spec.seLinuxMount'));
  return errors;
}

export function validateCsiDriverUpdate(driver: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateCsiDriver(driver);
  const [spec, before] = [record(driver['spec']) ?? {}, record(old['spec']) ?? {}];
  for (const [field, path] of [
    ['attachRequired', 'attachedRequired'],
    ['volumeLifecycleModes', 'volumeLifecycleModes'],
  ] as const)
    if (!equal(spec[field] ?? null, before[field] ?? null))
      errors.push(invalid(`spec.${path}`, spec[field], 'field is immutable'));
  return errors;
}

export function validateCsiNode(node: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, driver] of list(record(node['spec'])?.['drivers']).entries()) {
    const at = `spec.drivers[${index}]`;
    const name = text(driver['name']);
    checkDriverName(errors, `${at}.name`, name);
    const id = text(driver['nodeID']);
    if (id === '') errors.push(required(`${at}.nodeID`));
    if (id.length > nodeIdMax) errors.push(invalid(`${at}.nodeID`, id, `must be ${nodeIdMax} characters or less`));
    nonNegative(errors, `${at}.allocatable.count`, record(driver['allocatable'])?.['count']);
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    const keys = words(driver['topologyKeys']);
    const seen = new Set<string>();
    for (const key of keys) {
      if (key === '') errors.push(required(at));
      if (seen.has(key)) errors.push(duplicate(at, key));
      seen.add(key);
      for (const problem of qualifiedNameProblems(key)) errors.push(invalid(at, keys, problem));
    }
  }
  return errors;
}

const oneSource = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';

export function validateVolumeAttachment(attachment: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(attachment['spec']) ?? {};
  const source = record(spec['source']) ?? {};
  const name = source['persistentVolumeName'] as string | undefined;
  const inline = record(source['inlineVolumeSpec']);
  if (text(spec['attacher']) === '') errors.push(required('spec.attacher'));
  if (name === undefined && inline === undefined) errors.push(required('spec.source', oneSource));
  else if (name !== undefined && inline !== undefined) errors.push(forbidden('spec.source', oneSource));
  else if (name === '')
    errors.push(required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName'));
  check(errors, 'spec.nodeName', text(spec['nodeName']), dns1123SubdomainProblems);
  if (text(spec['attacher']) !== '') checkDriverName(errors, 'spec.attacher', text(spec['attacher']));
  if (name) check(errors, 'spec.source.persistentVolumeName', name, dns1123SubdomainProblems);
  return errors;
}

export function validateVolumeAttachmentUpdate(attachment: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateVolumeAttachment(attachment);
  if (!equal(attachment['spec'], old['spec'])) errors.push(invalid('spec', attachment['spec'], 'field is immutable'));
  return errors;
}

export function validateVolumeAttributesClass(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const driver = text(object['driverName']);
  if (driver === '') errors.push(required('driverName'));
  else
    for (const problem of qualifiedNameProblems(driver.toLowerCase()))
      errors.push(invalid('driverName', driver, problem));
  const parameters = (object['parameters'] ?? {}) as Fields;
  if (Object.keys(parameters).length === 0)
    errors.push(required('parameters', 'must contain at least one key/value pair'));
  if ('' in parameters) errors.push(invalid('parameters', '', 'field can not be empty.'));
  return errors;
}

export function validateVolumeAttributesClassUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['driverName', 'parameters'])
    if (!equal(object[field] ?? null, old[field] ?? null))
      errors.push(forbidden(field, `updates to ${field} are forbidden.`));
  return errors;
}

export function validateStorageCapacity(capacity: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const topology = record(capacity['nodeTopology']);
  check(errors, 'storageClassName', text(capacity['storageClassName']), dns1123SubdomainProblems);
  for (const field of ['capacity', 'maximumVolumeSize'])
    if ((nanosOf(capacity[field] as string | undefined) ?? 0n) < 0n)
      errors.push(invalid(field, capacity[field], 'must be greater than or equal to 0'));
  if (topology !== undefined) validateLabelSelector(topology, 'nodeTopology', errors);
  return errors;
}

export function validateStorageCapacityUpdate(capacity: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateStorageCapacity(capacity);
  for (const field of ['nodeTopology', 'storageClassName'])
    if (!equal(capacity[field] ?? null, old[field] ?? null))
      errors.push(invalid(field, capacity[field] ?? null, 'field is immutable'));
  return errors;
}
