/** Ingresses, network policies, endpoint slices. Source: pkg/apis/networking/validation, pkg/apis/discovery/validation. */
import { isIP } from 'node:net';
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  tooMany,
} from '#kube-machinery/field-error.ts';
import {
  dns1035LabelProblems,
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  portNameProblems,
  portNumberProblems,
} from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { checkOrdinaryIp } from './core-kinds.ts';
import { check, choose, type Fields, list, record, text, words } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { validatePort } from './probes.ts';

export function validateIngress(ingress: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(ingress['spec']) ?? {};
  const rules = list(spec['rules']);
  const fallback = record(spec['defaultBackend']);
  if (rules.length === 0 && fallback === undefined)
    errors.push(invalid('spec', null, 'either `defaultBackend` or `rules` must be specified'));
  if (fallback !== undefined) validateBackend(fallback, 'spec.defaultBackend', errors);
  for (const [index, rule] of rules.entries()) {
    const at = `spec.rules[${index}]`;
    const host = text(rule['host']);
    if (host !== '') {
      if (isIP(host) !== 0) errors.push(invalid(`${at}.host`, host, 'must be a DNS name, not an IP address'));
      else check(errors, `${at}.host`, host, host.startsWith('*') ? wildcardProblems : dns1123SubdomainProblems);
    }
    const http = record(rule['http']);
    if (http === undefined) continue;
    const paths = list(http['paths']);
    if (paths.length === 0) errors.push(required(`${at}.http.paths`));
    for (const [i, path] of paths.entries()) validatePath(path, `${at}.http.paths[${i}]`, errors);
  }
  const className = spec['ingressClassName'] as string | undefined;
  if (className !== undefined) check(errors, 'spec.ingressClassName', className, dns1123SubdomainProblems);
  return errors;
}

const wildcardMessage =
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const wildcardProblems = (host: string) =>
  host.startsWith('*.') && dns1123SubdomainProblems(host.slice(2)).length === 0 ? [] : [wildcardMessage];

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];

function validatePath(entry: Fields, at: string, errors: FieldError[]): void {
  const path = text(entry['path']);
  const type = entry['pathType'];
  if (type === undefined) errors.push(required(`${at}.pathType`, 'pathType must be specified'));
  else if (type === 'Exact' || type === 'Prefix') {
    if (!path.startsWith('/')) errors.push(invalid(`${at}.path`, path, 'must be an absolute path'));
    for (const sequence of ['//', '/./', '/../', '%2f', '%2F'])
      if (path.includes(sequence)) errors.push(invalid(`${at}.path`, path, `must not contain '${sequence}'`));
    for (const ending of ['/..', '/.'])
      if (path.endsWith(ending)) errors.push(invalid(`${at}.path`, path, `cannot end with '${ending}'`));
  } else if (type === 'ImplementationSpecific') {
    if (path !== '' && !path.startsWith('/')) errors.push(invalid(`${at}.path`, path, 'must be an absolute path'));
  } else errors.push(notSupported(`${at}.pathType`, type, pathTypes));
  validateBackend(record(entry['backend']) ?? {}, `${at}.backend`, errors);
}

function validateBackend(backend: Fields, at: string, errors: FieldError[]): void {
  const service = record(backend['service']);
  const resource = record(backend['resource']);
  if (service !== undefined && resource !== undefined)
    errors.push(invalid(at, '', 'cannot set both resource and service backends'));
  else if (service === undefined && resource === undefined)
    errors.push(invalid(at, '', 'resource or service backend is required'));
  else if (service !== undefined) {
    const name = text(service['name']);
    if (name === '') errors.push(required(`${at}.service.name`));
    else check(errors, `${at}.service.name`, name, dns1035LabelProblems);
    const port = record(service['port']) ?? {};
    const portName = text(port['name']);
    const number = (port['number'] ?? 0) as number;
    if (portName !== '' && number !== 0) errors.push(invalid(at, '', 'cannot set both port name & port number'));
    else if (portName !== '') check(errors, `${at}.service.port.name`, portName, portNameProblems);
    else if (number === 0) errors.push(required(at, 'port name or number is required'));
    else
      for (const problem of portNumberProblems(number))
        errors.push(invalid(`${at}.service.port.number`, number, problem));
  }
}

export function validateNetworkPolicy(policy: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(policy['spec']) ?? {};
  validateLabelSelector(record(spec['podSelector']) ?? {}, 'spec.podSelector', errors);
  for (const [direction, peers] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const)
    for (const [index, rule] of list(spec[direction]).entries()) {
      const at = `spec.${direction}[${index}]`;
      for (const [i, port] of list(rule['ports']).entries()) validatePolicyPort(port, `${at}.ports[${i}]`, errors);
      for (const [i, peer] of list(rule[peers]).entries()) validatePeer(peer, `${at}.${peers}[${i}]`, errors);
    }
  const types = words(spec['policyTypes']);
  if (types.length > 2) errors.push(invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  else
    for (const [index, type] of types.entries())
      if (type !== 'Ingress' && type !== 'Egress')
        errors.push(notSupported(`spec.policyTypes[${index}]`, type, ['Egress', 'Ingress']));
  return errors;
}

function validatePolicyPort(entry: Fields, at: string, errors: FieldError[]): void {
  const protocol = entry['protocol'];
  if (protocol !== undefined && !['SCTP', 'TCP', 'UDP'].includes(protocol as string))
    errors.push(notSupported(`${at}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']));
  const port = entry['port'];
  const end = entry['endPort'] as number | undefined;
  if (port === undefined) {
    if (end !== undefined)
      errors.push(invalid(`${at}.endPort`, end, 'may not be specified when `port` is not specified'));
    return;
  }
  validatePort(errors, `${at}.port`, port);
  if (end === undefined) return;
  if (typeof port === 'string')
    errors.push(invalid(`${at}.endPort`, end, 'may not be specified when `port` is non-numeric'));
  else if (end < (port as number))
    errors.push(invalid(`${at}.endPort`, end, 'must be greater than or equal to `port`'));
  for (const problem of portNumberProblems(end)) errors.push(invalid(`${at}.endPort`, end, problem));
}

function validatePeer(peer: Fields, at: string, errors: FieldError[]): void {
  const fields = ['podSelector', 'namespaceSelector', 'ipBlock'].filter((field) => peer[field] !== undefined);
  if (fields.length === 0) errors.push(required(at, 'must specify a peer'));
  else if (fields.length > 1 && fields.includes('ipBlock'))
    errors.push(forbidden(at, 'may not specify both ipBlock and another peer'));
  for (const field of fields)
    if (field !== 'ipBlock') validateLabelSelector(record(peer[field])!, `${at}.${field}`, errors);
}

const endpointsMax = 1000;
const addressesMax = 100;
const slicePortsMax = 20_000;

export function validateEndpointSlice(slice: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const type = text(slice['addressType']);
  choose(errors, 'addressType', type, ['FQDN', 'IPv4', 'IPv6']);
  const endpoints = list(slice['endpoints']);
  if (endpoints.length > endpointsMax) errors.push(tooMany('endpoints', endpoints.length, endpointsMax));
  else
    for (const [index, endpoint] of endpoints.entries())
      validateEndpoint(endpoint, `endpoints[${index}]`, type, errors);
  const ports = list(slice['ports']);
  if (ports.length > slicePortsMax) {
    errors.push(tooMany('ports', ports.length, slicePortsMax));
    return errors;
  }
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `ports[${index}]`;
    const name = text(port['name']);
    if (name !== '') check(errors, `${at}.name`, name, dns1123LabelProblems);
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    choose(errors, `${at}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']);
  }
  return errors;
}

function validateEndpoint(endpoint: Fields, at: string, type: string, errors: FieldError[]): void {
  const addresses = words(endpoint['addresses']);
  if (addresses.length === 0) errors.push(required(`${at}.addresses`, 'must contain at least 1 endpoint address'));
  else if (addresses.length > addressesMax) errors.push(tooMany(`${at}.addresses`, addresses.length, addressesMax));
  for (const [index, address] of addresses.entries()) {
    const here = `${at}.addresses[${index}]`;
    if (type === 'IPv4' && isIP(address) !== 4) errors.push(invalid(here, address, 'must be a valid IPv4 address'));
    if (type === 'IPv6' && isIP(address) !== 6) errors.push(invalid(here, address, 'must be a valid IPv6 address'));
    if (type === 'IPv4' || type === 'IPv6') checkOrdinaryIp(errors, here, address);
    if (type === 'FQDN') check(errors, here, address.replace(/\.$/, ''), dns1123SubdomainProblems);
  }
  const hostname = endpoint['hostname'] as string | undefined;
  if (hostname !== undefined) check(errors, `${at}.hostname`, hostname, dns1123LabelProblems);
  const nodeName = endpoint['nodeName'] as string | undefined;
  if (nodeName !== undefined) check(errors, `${at}.nodeName`, nodeName, dns1123SubdomainProblems);
}

export function validateEndpointSliceUpdate(slice: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateEndpointSlice(slice);
  if (slice['addressType'] !== old['addressType'])
    errors.push(invalid('addressType', slice['addressType'], 'field is immutable'));
  return errors;
}
