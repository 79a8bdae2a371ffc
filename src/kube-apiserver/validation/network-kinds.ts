/** Ingress classes, service ranges and addresses. Source: pkg/apis/networking/validation. */
import { isIP } from 'node:net';
import { type FieldError, forbidden, invalid, notSupported, required, tooLong } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { dns1123LabelProblems, dns1123SubdomainProblems, pathSegmentProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, record, text, words } from './fields.ts';

const controllerBytesMax = 250;

export function validateIngressClass(ingressClass: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(ingressClass['spec']) ?? {};
  const controller = text(spec['controller']);
  const at = 'spec.controller';
  if (Buffer.byteLength(controller) > controllerBytesMax) errors.push(tooLong(at, controllerBytesMax));
  const slash = controller.indexOf('/');
  if (controller === '') errors.push(required(at));
  else if (slash <= 0 || slash === controller.length - 1)
    errors.push(invalid(at, controller, 'must be a domain-prefixed path (such as "acme.io/foo")'));
  else
    for (const problem of dns1123SubdomainProblems(controller.slice(0, slash)))
      errors.push(invalid(at, controller.slice(0, slash), problem));
  const parameters = record(spec['parameters']);
  if (parameters !== undefined) validateParameters(errors, 'spec.parameters', parameters);
  return errors;
}

function validateParameters(errors: FieldError[], at: string, parameters: Fields): void {
  const group = parameters['apiGroup'] as string | undefined;
  if (group !== undefined) check(errors, `${at}.apiGroup`, group, dns1123SubdomainProblems);
  for (const field of ['kind', 'name']) {
    const value = text(parameters[field]);
    if (value === '') errors.push(required(`${at}.${field}`));
    else check(errors, `${at}.${field}`, value, pathSegmentProblems);
  }
  const scope = parameters['scope'];
  const namespace = parameters['namespace'] as string | undefined;
  if (scope === undefined) {
    errors.push(required(`${at}.scope`));
    return;
  }
  if (scope !== 'Cluster' && scope !== 'Namespace')
    errors.push(notSupported(`${at}.scope`, scope, ['Cluster', 'Namespace']));
  if (scope === 'Namespace') {
    if (namespace === undefined) errors.push(required(`${at}.namespace`, "`parameters.scope` is set to 'Namespace'"));
    else check(errors, `${at}.namespace`, namespace, dns1123LabelProblems);
  }
  if (scope === 'Cluster' && namespace !== undefined)
    errors.push(forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'"));
}

export function validateIngressClassUpdate(ingressClass: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateIngressClass(ingressClass);
  const controllerOf = (object: KubeObject) => record(object['spec'])?.['controller'];
  if (controllerOf(ingressClass) !== controllerOf(old))
    errors.push(invalid('spec.controller', controllerOf(ingressClass), 'field is immutable'));
  return errors;
}

/** The name of an IPAddress is the address. */
export function addressNameProblems(name: string): string[] {
  const version = isIP(name);
  if (version === 0) return [`ParseAddr(${JSON.stringify(name)}): unable to parse IP`];
  const canonical = version === 4 ? name : new URL(`http://[${name}]/`).hostname.slice(1, -1);
  return canonical === name ? [] : ['must be a canonical format IP address'];
}

export function validateIpAddress(address: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const parent = record(record(address['spec'])?.['parentRef']);
  const at = 'spec.parentRef';
  if (parent === undefined) return [required(at)];
  const group = text(parent['group']);
  if (group !== '') check(errors, `${at}.group`, group, dns1123SubdomainProblems);
  for (const field of ['resource', 'name']) {
    const value = text(parent[field]);
    if (value === '') errors.push(required(`${at}.${field}`));
    else check(errors, `${at}.${field}`, value, pathSegmentProblems);
  }
  const namespace = text(parent['namespace']);
  if (namespace !== '') check(errors, `${at}.namespace`, namespace, pathSegmentProblems);
  return errors;
}

export function validateIpAddressUpdate(address: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateIpAddress(address);
  const parentOf = (object: KubeObject) => record(object['spec'])?.['parentRef'] ?? null;
  if (!equal(parentOf(address), parentOf(old)))
    errors.push(invalid('spec.parentRef', internalParent(record(parentOf(address))), 'field is immutable'));
  return errors;
}

export const cidrText = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

export function validateServiceCidr(range: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const cidrs = words(record(range['spec'])?.['cidrs']);
  const at = 'spec.cidrs';
  if (cidrs.length === 0) return [required(at, 'at least one CIDR required')];
  if (cidrs.length > 2) return [invalid(at, cidrs, 'may only hold up to 2 values')];
  const versions = cidrs.map(cidrVersion);
  for (const [index, version] of versions.entries())
    if (version === 0) errors.push(invalid(`${at}[${index}]`, cidrs[index], cidrText));
  if (cidrs.length === 2 && versions[0] === versions[1] && versions[0] !== 0)
    errors.push(
      invalid(at, cidrs, 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'),
    );
  return errors;
}

/** As upstream's internal record is printed. */
function internalParent(parent: Fields | undefined): object | null {
  if (parent === undefined || parent === null) return null;
  const { group, resource, namespace, name } = parent;
  return { Group: text(group), Resource: text(resource), Namespace: text(namespace), Name: text(name) };
}

/** 4 or 6; 0 for what is no range. */
export function cidrVersion(cidr: string): number {
  const [address = '', bits = '', ...rest] = cidr.split('/');
  const version = isIP(address);
  const max = version === 4 ? 32 : 128;
  return rest.length === 0 && /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= max ? version : 0;
}

export function validateServiceCidrUpdate(range: KubeObject, old: KubeObject): FieldError[] {
  const cidrsOf = (object: KubeObject) => words(record(object['spec'])?.['cidrs']);
  const [after, before] = [cidrsOf(range), cidrsOf(old)];
  // A second family may be added, nothing else.
  const grows = before.length === 1 && after.length === 2 && after[0] === before[0];
  if (grows) return validateServiceCidr(range);
  return equal(after, before) ? [] : [invalid('spec.cidrs', after, 'field is immutable')];
}
