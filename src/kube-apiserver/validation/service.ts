/** Services: type, ports, addresses that stay. Source: ValidateService of pkg/apis/core/validation. */
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  portNameProblems,
  portNumberProblems,
} from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { validateLabels } from './metadata.ts';

type Fields = Readonly<Record<string, unknown>>;

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const affinities = ['ClientIP', 'None'];

export function validateService(service: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = (service['spec'] ?? {}) as Fields;
  const type = spec['type'] as string;
  const ports = (spec['ports'] ?? []) as Fields[];
  const headless = spec['clusterIP'] === 'None';
  if (ports.length === 0 && !headless && type !== 'ExternalName') errors.push(required('spec.ports'));
  if (!types.includes(type)) errors.push(notSupported('spec.type', type, types));
  if (type === 'LoadBalancer' && headless)
    errors.push(invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for LoadBalancer services"));
  if (type === 'NodePort' && headless)
    errors.push(invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for NodePort services"));
  if (type === 'ExternalName') {
    const name = spec['externalName'] as string | undefined;
    if (!name) errors.push(required('spec.externalName'));
    else
      for (const problem of dns1123SubdomainProblems(name.replace(/\.$/, '')))
        errors.push(invalid('spec.externalName', name, problem));
    if (spec['clusterIP'] && spec['clusterIP'] !== 'None')
      errors.push(forbidden('spec.clusterIPs', "may not be set when `type` is 'ExternalName'"));
  }
  const names = new Set<string>();
  const portProtocols = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    const name = port['name'] as string | undefined;
    if (!name) {
      if (ports.length > 1) errors.push(required(`${at}.name`));
    } else {
      for (const problem of dns1123LabelProblems(name)) errors.push(invalid(`${at}.name`, name, problem));
      if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
      names.add(name);
    }
    const number = (port['port'] ?? 0) as number;
    for (const problem of portNumberProblems(number)) errors.push(invalid(`${at}.port`, number, problem));
    const protocol = (port['protocol'] ?? '') as string;
    if (protocol === '') errors.push(required(`${at}.protocol`));
    else if (!protocols.includes(protocol)) errors.push(notSupported(`${at}.protocol`, protocol, protocols));
    const target = port['targetPort'];
    if (typeof target === 'number')
      for (const problem of portNumberProblems(target)) errors.push(invalid(`${at}.targetPort`, target, problem));
    else if (typeof target === 'string')
      for (const problem of portNameProblems(target)) errors.push(invalid(`${at}.targetPort`, target, problem));
    const key = `${protocol}/${number}`;
    if (portProtocols.has(key)) errors.push(duplicate(at, { port: number, protocol }));
    portProtocols.add(key);
    const nodePort = port['nodePort'] as number | undefined;
    if (nodePort) {
      if (type === 'ClusterIP' || type === 'ExternalName')
        errors.push(forbidden(`${at}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
      const nodeKey = `${protocol}/${nodePort}`;
      if (nodePorts.has(nodeKey)) errors.push(duplicate(`${at}.nodePort`, nodePort));
      nodePorts.add(nodeKey);
    }
  }
  errors.push(...validateLabels(spec['selector'] as Readonly<Record<string, string>> | undefined, 'spec.selector'));
  if (!affinities.includes(spec['sessionAffinity'] as string))
    errors.push(notSupported('spec.sessionAffinity', spec['sessionAffinity'], affinities));
  return errors;
}

export function validateServiceUpdate(service: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateService(service);
  const spec = (service['spec'] ?? {}) as Fields;
  const before = (old['spec'] ?? {}) as Fields;
  const was = before['clusterIP'];
  // Once a service has an address it keeps it, unless it turns into a name.
  if (was && before['type'] !== 'ExternalName' && spec['type'] !== 'ExternalName' && spec['clusterIP'] !== was)
    errors.push(
      invalid(
        'spec.clusterIPs[0]',
        spec['clusterIP'] === undefined ? null : [spec['clusterIP']],
        'may not change once set',
      ),
    );
  return errors;
}
