/** Services: type, ports, addresses that stay, traffic policies. Checks stand in the order of ValidateService of pkg/apis/core/validation. */
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  portNumberProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, choose, type Fields, list, record, text, words } from './fields.ts';
import { validateLabels } from './metadata.ts';
import { checkIp } from './pod-spec.ts';
import { validatePort } from './probes.ts';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const affinitySecondsMax = 86_400;

export function validateService(service: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(service['spec']) ?? {};
  const type = text(spec['type']);
  const ports = list(spec['ports']);
  const headless = spec['clusterIP'] === 'None';
  if (ports.length === 0 && !headless && type !== 'ExternalName') errors.push(required('spec.ports'));
  if (headless && (type === 'LoadBalancer' || type === 'NodePort'))
    errors.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`));
  if (type === 'ExternalName') validateExternalName(spec, errors);
  const names = new Set<string>();
  for (const [index, port] of ports.entries())
    validateServicePort(port, `spec.ports[${index}]`, ports.length > 1, names, errors);
  errors.push(...validateLabels(spec['selector'] as Readonly<Record<string, string>> | undefined, 'spec.selector'));
  validateSessionAffinity(spec, errors);
  for (const [index, address] of words(spec['externalIPs']).entries())
    checkIp(errors, `spec.externalIPs[${index}]`, address);
  choose(errors, 'spec.type', spec['type'], types);
  if (type === 'ClusterIP')
    for (const [index, port] of ports.entries())
      if (port['nodePort'])
        errors.push(forbidden(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
  checkDuplicates(ports, errors);
  if (words(spec['loadBalancerSourceRanges']).length > 0 && type !== 'LoadBalancer')
    errors.push(forbidden('spec.LoadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'"));
  for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass'])
    if (spec[field] !== undefined && type !== 'LoadBalancer')
      errors.push(forbidden(`spec.${field}`, "may only be used when `type` is 'LoadBalancer'"));
  validateTraffic(spec, errors);
  return errors;
}

function validateExternalName(spec: Fields, errors: FieldError[]): void {
  if (text(spec['clusterIP']) !== '' || words(spec['clusterIPs']).length > 0)
    errors.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'));
  for (const field of ['ipFamilies', 'ipFamilyPolicy'])
    if (spec[field] !== undefined) errors.push(forbidden(`spec.${field}`, 'may not be set for ExternalName services'));
  const name = text(spec['externalName']).replace(/\.$/, '');
  if (name === '') errors.push(required('spec.externalName'));
  else check(errors, 'spec.externalName', name, dns1123SubdomainProblems);
}

function validateServicePort(
  port: Fields,
  at: string,
  needsName: boolean,
  names: Set<string>,
  errors: FieldError[],
): void {
  const name = text(port['name']);
  if (name === '') {
    if (needsName) errors.push(required(`${at}.name`));
  } else {
    check(errors, `${at}.name`, name, dns1123LabelProblems);
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
  }
  const number = (port['port'] ?? 0) as number;
  for (const problem of portNumberProblems(number)) errors.push(invalid(`${at}.port`, number, problem));
  choose(errors, `${at}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']);
  validatePort(errors, `${at}.targetPort`, port['targetPort']);
  if (port['appProtocol'] !== undefined)
    check(errors, `${at}.appProtocol`, text(port['appProtocol']), qualifiedNameProblems);
}

function validateSessionAffinity(spec: Fields, errors: FieldError[]): void {
  const affinity = spec['sessionAffinity'];
  choose(errors, 'spec.sessionAffinity', affinity, ['ClientIP', 'None']);
  const at = 'spec.sessionAffinityConfig';
  const config = record(spec['sessionAffinityConfig']);
  if (affinity === 'None' && config !== undefined)
    errors.push(forbidden(at, 'must not be set when session affinity is None'));
  if (affinity !== 'ClientIP') return;
  const client = record(config?.['clientIP']);
  const seconds = client?.['timeoutSeconds'] as number | undefined;
  const missing =
    config === undefined
      ? at
      : client === undefined
        ? `${at}.clientIP`
        : seconds === undefined
          ? `${at}.clientIP.timeoutSeconds`
          : undefined;
  if (missing !== undefined) errors.push(required(missing, 'when session affinity type is ClientIP'));
  else if (seconds! <= 0 || seconds! > affinitySecondsMax)
    errors.push(
      invalid(`${at}.clientIP.timeoutSeconds`, seconds, `must be greater than 0 and less than ${affinitySecondsMax}`),
    );
}

function checkDuplicates(ports: readonly Fields[], errors: FieldError[]): void {
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    if (!port['nodePort']) continue;
    const key = `${port['protocol']}/${port['nodePort']}`;
    if (nodePorts.has(key)) errors.push(duplicate(`spec.ports[${index}].nodePort`, port['nodePort']));
    nodePorts.add(key);
  }
  const taken = new Set<string>();
  for (const [index, { protocol, port }] of ports.entries()) {
    const key = `${protocol}/${port}`;
    if (taken.has(key))
      // The message shows upstream's internal form of the port.
      errors.push(
        duplicate(`spec.ports[${index}]`, {
          Name: '',
          Protocol: protocol,
          AppProtocol: null,
          Port: port,
          TargetPort: 0,
          NodePort: 0,
        }),
      );
    taken.add(key);
  }
}

function validateTraffic(spec: Fields, errors: FieldError[]): void {
  const type = text(spec['type']);
  const policy = text(spec['externalTrafficPolicy']);
  const external =
    type === 'LoadBalancer' || type === 'NodePort' || (type === 'ClusterIP' && words(spec['externalIPs']).length > 0);
  if (external) choose(errors, 'spec.externalTrafficPolicy', policy, ['Cluster', 'Local']);
  else if (policy !== '')
    errors.push(invalid('spec.externalTrafficPolicy', policy, 'may only be set for externally-accessible services'));
  const healthPort = (spec['healthCheckNodePort'] ?? 0) as number;
  if (healthPort !== 0 && !(type === 'LoadBalancer' && policy === 'Local'))
    errors.push(
      invalid(
        'spec.healthCheckNodePort',
        healthPort,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ),
    );
  const internal = spec['internalTrafficPolicy'];
  if (internal === undefined) {
    if (types.includes(type) && type !== 'ExternalName') errors.push(required('spec.internalTrafficPolicy'));
  } else if (internal !== 'Cluster' && internal !== 'Local')
    errors.push(notSupported('spec.internalTrafficPolicy', internal, ['Cluster', 'Local']));
  const distribution = spec['trafficDistribution'];
  const distributions = ['PreferClose', 'PreferSameZone', 'PreferSameNode'];
  if (distribution !== undefined && !distributions.includes(distribution as string))
    errors.push(notSupported('spec.trafficDistribution', distribution, distributions));
}

export function validateServiceUpdate(service: KubeObject, old: KubeObject): FieldError[] {
  const spec = record(service['spec']) ?? {};
  const before = record(old['spec']) ?? {};
  const was = text(before['clusterIP']);
  const errors: FieldError[] = [];
  // Once a service has an address it keeps it, unless it turns into a name.
  if (was !== '' && before['type'] !== 'ExternalName' && spec['type'] !== 'ExternalName' && spec['clusterIP'] !== was)
    errors.push(
      invalid(
        'spec.clusterIPs[0]',
        spec['clusterIP'] === undefined ? null : [spec['clusterIP']],
        'may not change once set',
      ),
    );
  return [...errors, ...validateService(service)];
}
