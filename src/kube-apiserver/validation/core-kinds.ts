/** Namespaces, endpoints, events, pod templates and controller revisions. Source: pkg/apis/core/validation, pkg/apis/apps/validation. */
import { isIP } from 'node:net';
import type { Resource } from '#api-kube/resource.ts';
import { type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  portNumberProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, list, nonNegative, record, text, words } from './fields.ts';
import { kubeFinalizer } from './metadata.ts';
import { checkIp } from './pod-spec.ts';
import { validatePodTemplate } from './pod-template.ts';

export function validateNamespace(namespace: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const finalizer of words(record(namespace['spec'])?.['finalizers'])) {
    check(errors, 'spec.finalizers', finalizer, qualifiedNameProblems);
    errors.push(...kubeFinalizer('spec.finalizers', finalizer));
  }
  return errors;
}

export function validateEndpoints(endpoints: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, subset] of list(endpoints['subsets']).entries()) {
    const at = `subsets[${index}]`;
    const addresses = list(subset['addresses']);
    const notReady = list(subset['notReadyAddresses']);
    if (addresses.length === 0 && notReady.length === 0)
      errors.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
    for (const [i, address] of addresses.entries()) validateAddress(errors, `${at}.addresses[${i}]`, address);
    for (const [i, address] of notReady.entries()) validateAddress(errors, `${at}.notReadyAddresses[${i}]`, address);
    const ports = list(subset['ports']);
    for (const [i, port] of ports.entries()) validateEndpointPort(errors, `${at}.ports[${i}]`, port, ports.length > 1);
  }
  return errors;
}

function validateAddress(errors: FieldError[], at: string, address: Fields): void {
  const ip = text(address['ip']);
  checkIp(errors, `${at}.ip`, ip);
  const hostname = text(address['hostname']);
  if (hostname !== '') check(errors, `${at}.hostname`, hostname, dns1123LabelProblems);
  const nodeName = address['nodeName'] as string | undefined;
  if (nodeName !== undefined) check(errors, `${at}.nodeName`, nodeName, dns1123SubdomainProblems);
  checkOrdinaryIp(errors, `${at}.ip`, ip);
}

/** No address that means something else on every machine. Source: ValidateNonSpecialIP. */
export function checkOrdinaryIp(errors: FieldError[], at: string, address: string): void {
  const version = isIP(address);
  if (version === 0) return;
  const lower = address.toLowerCase();
  const [first = 0, second = 0, third = 0] = version === 4 ? address.split('.').map(Number) : [];
  if (version === 4 ? address === '0.0.0.0' : /^[0:]+$/.test(lower))
    errors.push(invalid(at, address, 'may not be unspecified (0.0.0.0 or ::)'));
  if (version === 4 ? first === 127 : /^(0*:)+0*1$/.test(lower))
    errors.push(invalid(at, address, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'));
  if (version === 4 ? first === 169 && second === 254 : /^fe[89ab]/.test(lower))
    errors.push(invalid(at, address, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'));
  if (version === 4 ? first === 224 && second === 0 && third === 0 : /^ff.2:/.test(lower))
    errors.push(invalid(at, address, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'));
}

function validateEndpointPort(errors: FieldError[], at: string, port: Fields, named: boolean): void {
  const name = text(port['name']);
  if (named && name === '') errors.push(required(`${at}.name`));
  else if (name !== '') check(errors, `${at}.name`, name, dns1123LabelProblems);
  const number = (port['port'] ?? 0) as number;
  for (const problem of portNumberProblems(number)) errors.push(invalid(`${at}.port`, number, problem));
  const protocol = text(port['protocol']);
  if (protocol === '') errors.push(required(`${at}.protocol`));
  else if (!['SCTP', 'TCP', 'UDP'].includes(protocol))
    errors.push(notSupported(`${at}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']));
  const application = port['appProtocol'] as string | undefined;
  if (application !== undefined) check(errors, `${at}.appProtocol`, application, qualifiedNameProblems);
}

export function validatePodTemplateObject(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  validatePodTemplate(record(object['template']) ?? {}, 'template', errors);
  return errors;
}

export function validateControllerRevision(revision: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  if (revision['data'] === undefined || revision['data'] === null) errors.push(required('data', 'data is mandatory'));
  nonNegative(errors, 'revision', revision['revision']);
  return errors;
}

export function validateControllerRevisionUpdate(revision: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateControllerRevision(revision);
  if (!equal(revision['data'] ?? null, old['data'] ?? null))
    errors.push(invalid('data', revision['data'], 'field is immutable'));
  return errors;
}

const nameCharactersMax = 128;
const noteCharactersMax = 1024;

/** In the stored form, core/v1. */
export function validateEvent(resource: Resource, event: KubeObject): FieldError[] {
  const errors = validateAnyEvent(resource, event);
  if (resource.group === '') return errors;
  validateSeries(errors, record(event['series']));
  if (text(event['eventTime']) === '') errors.push(required('eventTime'));
  const type = text(event['type']);
  if (type !== 'Normal' && type !== 'Warning') errors.push(invalid('type', '', `has invalid value: ${type}`));
  for (const field of ['firstTimestamp', 'lastTimestamp', 'count'])
    if (event[field] !== undefined && event[field] !== null && event[field] !== 0)
      errors.push(invalid(field, '', 'needs to be unset'));
  const source = record(event['source']) ?? {};
  if (text(source['component']) !== '' || text(source['host']) !== '')
    errors.push(invalid('source', '', 'needs to be unset'));
  return errors;
}

const fixedInEvents = [
  'involvedObject',
  'reason',
  'message',
  'source',
  'firstTimestamp',
  'lastTimestamp',
  'count',
  'type',
  'eventTime',
  'action',
  'related',
  'reportingComponent',
  'reportingInstance',
] as const;

export function validateEventUpdate(resource: Resource, event: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateAnyEvent(resource, event);
  if (resource.group === '') return errors;
  if (!equal(event['series'] ?? null, old['series'] ?? null)) validateSeries(errors, record(event['series']));
  for (const field of fixedInEvents)
    if (!equal(event[field] ?? null, old[field] ?? null))
      errors.push(
        invalid(
          field === 'reportingComponent' ? 'reportingController' : field,
          event[field] ?? '',
          'field is immutable',
        ),
      );
  return errors;
}

function validateSeries(errors: FieldError[], series: Fields | undefined): void {
  if (series === undefined) return;
  if (((series['count'] ?? 0) as number) < 2) errors.push(invalid('series.count', '', 'should be at least 2'));
  if (text(series['lastObservedTime']) === '') errors.push(required('series.lastObservedTime'));
}

/** What holds for events of both groups; those with an event time are of the new kind. */
function validateAnyEvent(resource: Resource, event: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const { namespace = '' } = event.metadata;
  const involved = text(record(event['involvedObject'])?.['namespace']);
  const elsewhere = () => errors.push(invalid('involvedObject.namespace', involved, 'does not match event.namespace'));
  if (text(event['eventTime']) === '') {
    if (involved === '' ? namespace !== 'default' : involved !== namespace) elsewhere();
  } else {
    if (involved === '' && namespace !== 'default' && namespace !== 'kube-system') elsewhere();
    const controller = text(event['reportingComponent']);
    // As each group names the field.
    const field = resource.group === '' ? 'reportingComponent' : 'reportingController';
    if (controller === '') errors.push(required(field));
    check(errors, field, controller, qualifiedNameProblems);
    for (const field of ['reportingInstance', 'action', 'reason']) {
      const value = text(event[field]);
      if (value === '') errors.push(required(field));
      if (Buffer.byteLength(value) > nameCharactersMax)
        errors.push(invalid(field, '', `can have at most ${nameCharactersMax} characters`));
    }
    if (Buffer.byteLength(text(event['message'])) > noteCharactersMax)
      errors.push(invalid('message', '', `can have at most ${noteCharactersMax} characters`));
  }
  check(errors, 'namespace', namespace, dns1123SubdomainProblems);
  return errors;
}
