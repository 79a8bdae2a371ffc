/** Pods: containers, volumes, ports, probes, and the few fields that may change. Source: pkg/apis/core/validation. */
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
} from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  envVarNameProblems,
  portNameProblems,
  portNumberProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import { parseQuantity, QuantityError } from '#kube-machinery/quantity.ts';
import type { KubeObject } from '../object.ts';
import { validateLabels } from './metadata.ts';

type Fields = Readonly<Record<string, unknown>>;

const list = (value: unknown) => (Array.isArray(value) ? (value as Fields[]) : []);

export function validatePod(pod: KubeObject): FieldError[] {
  return validatePodSpec((pod['spec'] ?? {}) as Fields, 'spec');
}

const dnsPolicies = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const restartPolicies = ['Always', 'OnFailure', 'Never'];

export function validatePodSpec(spec: Fields, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const volumes = validateVolumes(list(spec['volumes']), `${at}.volumes`, errors);
  const containers = list(spec['containers']);
  if (containers.length === 0) errors.push(required(`${at}.containers`));
  const names = new Set<string>();
  for (const [field, items] of [
    ['containers', containers],
    ['initContainers', list(spec['initContainers'])],
  ] as const)
    for (const [index, container] of items.entries())
      validateContainer(
        container,
        `${at}.${field}[${index}]`,
        { names, volumes, init: field === 'initContainers' },
        errors,
      );
  checkHostPorts(containers, at, errors);
  if (!restartPolicies.includes(spec['restartPolicy'] as string))
    errors.push(notSupported(`${at}.restartPolicy`, spec['restartPolicy'], restartPolicies));
  if (!dnsPolicies.includes(spec['dnsPolicy'] as string))
    errors.push(notSupported(`${at}.dnsPolicy`, spec['dnsPolicy'], dnsPolicies));
  const grace = spec['terminationGracePeriodSeconds'] as number | undefined;
  if (grace !== undefined && grace < 0)
    errors.push(invalid(`${at}.terminationGracePeriodSeconds`, grace, 'must be greater than or equal to 0'));
  const deadline = spec['activeDeadlineSeconds'] as number | undefined;
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1))
    errors.push(invalid(`${at}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'));
  errors.push(
    ...validateLabels(spec['nodeSelector'] as Readonly<Record<string, string>> | undefined, `${at}.nodeSelector`),
  );
  for (const [field, problems] of [
    ['serviceAccountName', dns1123SubdomainProblems],
    ['nodeName', dns1123SubdomainProblems],
    ['hostname', dns1123LabelProblems],
    ['subdomain', dns1123LabelProblems],
    ['priorityClassName', dns1123SubdomainProblems],
  ] as const) {
    const value = spec[field] as string | undefined;
    if (value) for (const problem of problems(value)) errors.push(invalid(`${at}.${field}`, value, problem));
  }
  for (const [index, toleration] of list(spec['tolerations']).entries())
    validateToleration(toleration, `${at}.tolerations[${index}]`, errors);
  return errors;
}

function validateVolumes(volumes: readonly Fields[], at: string, errors: FieldError[]): Set<string> {
  const names = new Set<string>();
  for (const [index, volume] of volumes.entries()) {
    const here = `${at}[${index}]`;
    const name = volume['name'] as string | undefined;
    if (!name) errors.push(required(`${here}.name`));
    else {
      for (const problem of dns1123LabelProblems(name)) errors.push(invalid(`${here}.name`, name, problem));
      if (names.has(name)) errors.push(duplicate(`${here}.name`, name));
      names.add(name);
    }
    const sources = Object.keys(volume).filter((key) => key !== 'name');
    if (sources.length === 0) errors.push(required(here, 'must specify a volume type'));
    for (const extra of sources.slice(1))
      errors.push(forbidden(`${here}.${extra}`, 'may not specify more than 1 volume type'));
    const secret = volume['secret'] as Fields | undefined;
    if (secret && !secret['secretName']) errors.push(required(`${here}.secret.secretName`));
    const configMap = volume['configMap'] as Fields | undefined;
    if (configMap && !configMap['name']) errors.push(required(`${here}.configMap.name`));
    const hostPath = volume['hostPath'] as Fields | undefined;
    if (hostPath && !hostPath['path']) errors.push(required(`${here}.hostPath.path`));
    const claim = volume['persistentVolumeClaim'] as Fields | undefined;
    if (claim && !claim['claimName']) errors.push(required(`${here}.persistentVolumeClaim.claimName`));
  }
  return names;
}

interface Around {
  readonly names: Set<string>;
  readonly volumes: ReadonlySet<string>;
  readonly init: boolean;
}

const pullPolicies = ['Always', 'IfNotPresent', 'Never'];

function validateContainer(
  container: Fields,
  at: string,
  { names, volumes, init }: Around,
  errors: FieldError[],
): void {
  const name = container['name'] as string | undefined;
  if (!name) errors.push(required(`${at}.name`));
  else {
    for (const problem of dns1123LabelProblems(name)) errors.push(invalid(`${at}.name`, name, problem));
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
  }
  const image = container['image'] as string | undefined;
  if (!image) errors.push(required(`${at}.image`));
  else if (image.trim() !== image)
    errors.push(invalid(`${at}.image`, image, 'must not have leading or trailing whitespace'));
  if (!pullPolicies.includes(container['imagePullPolicy'] as string))
    errors.push(notSupported(`${at}.imagePullPolicy`, container['imagePullPolicy'], pullPolicies));
  validatePorts(list(container['ports']), `${at}.ports`, errors);
  for (const [index, variable] of list(container['env']).entries()) {
    const here = `${at}.env[${index}]`;
    const variableName = variable['name'] as string | undefined;
    if (!variableName) errors.push(required(`${here}.name`));
    else
      for (const problem of envVarNameProblems(variableName))
        errors.push(invalid(`${here}.name`, variableName, problem));
    const from = variable['valueFrom'] as Fields | undefined;
    if (from === undefined) continue;
    const sources = Object.keys(from);
    if (sources.length === 0)
      errors.push(
        invalid(
          `${here}.valueFrom`,
          '',
          'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
        ),
      );
    if (sources.length > 1)
      errors.push(invalid(`${here}.valueFrom`, '', 'may not have more than one field specified at a time'));
    if (variable['value'])
      errors.push(invalid(`${here}.valueFrom`, '', 'may not be specified when `value` is not empty'));
  }
  const mounts = new Set<string>();
  for (const [index, mount] of list(container['volumeMounts']).entries()) {
    const here = `${at}.volumeMounts[${index}]`;
    const volume = mount['name'] as string | undefined;
    if (!volume) errors.push(required(`${here}.name`));
    else if (!volumes.has(volume)) errors.push(notFound(`${here}.name`, volume));
    const path = mount['mountPath'] as string | undefined;
    if (!path) errors.push(required(`${here}.mountPath`));
    else {
      if (mounts.has(path)) errors.push(invalid(`${here}.mountPath`, path, 'must be unique'));
      mounts.add(path);
    }
  }
  validateResources((container['resources'] ?? {}) as Fields, `${at}.resources`, errors);
  const restart = container['restartPolicy'];
  if (init && restart !== undefined && restart !== 'Always')
    errors.push(notSupported(`${at}.restartPolicy`, restart, ['Always']));
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    const value = container[probe] as Fields | undefined;
    if (value === undefined) continue;
    if (init && restart !== 'Always')
      errors.push(forbidden(`${at}.${probe}`, 'may not be set for init containers without restartPolicy=Always'));
    else validateProbe(value, `${at}.${probe}`, probe !== 'readinessProbe', errors);
  }
}

const protocols = ['SCTP', 'TCP', 'UDP'];

function validatePorts(ports: readonly Fields[], at: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const here = `${at}[${index}]`;
    const name = port['name'] as string | undefined;
    if (name) {
      for (const problem of portNameProblems(name)) errors.push(invalid(`${here}.name`, name, problem));
      if (names.has(name)) errors.push(duplicate(`${here}.name`, name));
      names.add(name);
    }
    const number = (port['containerPort'] ?? 0) as number;
    if (number === 0) errors.push(required(`${here}.containerPort`));
    else
      for (const problem of portNumberProblems(number)) errors.push(invalid(`${here}.containerPort`, number, problem));
    const hostPort = port['hostPort'] as number | undefined;
    if (hostPort)
      for (const problem of portNumberProblems(hostPort)) errors.push(invalid(`${here}.hostPort`, hostPort, problem));
    if (!protocols.includes(port['protocol'] as string))
      errors.push(notSupported(`${here}.protocol`, port['protocol'], protocols));
  }
}

function checkHostPorts(containers: readonly Fields[], at: string, errors: FieldError[]): void {
  const taken = new Set<string>();
  for (const [index, container] of containers.entries())
    for (const [portIndex, port] of list(container['ports']).entries()) {
      if (!port['hostPort']) continue;
      const key = `${port['protocol']}/${port['hostIP'] ?? ''}/${port['hostPort']}`;
      if (taken.has(key)) errors.push(duplicate(`${at}.containers[${index}].ports[${portIndex}].hostPort`, key));
      taken.add(key);
    }
}

const probeHandlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'];

function validateProbe(probe: Fields, at: string, once: boolean, errors: FieldError[]): void {
  const handlers = probeHandlers.filter((name) => probe[name] !== undefined);
  if (handlers.length === 0) errors.push(required(at, 'must specify a handler type'));
  for (const extra of handlers.slice(1))
    errors.push(forbidden(`${at}.${extra}`, 'may not specify more than 1 handler type'));
  const exec = probe['exec'] as Fields | undefined;
  if (exec && list(exec['command']).length === 0) errors.push(required(`${at}.exec.command`));
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    const value = probe[field] as number | undefined;
    if (value !== undefined && value < 0)
      errors.push(invalid(`${at}.${field}`, value, 'must be greater than or equal to 0'));
  }
  if (once && probe['successThreshold'] !== 1)
    errors.push(invalid(`${at}.successThreshold`, probe['successThreshold'], 'must be 1'));
}

/** Resources that need no domain before their name. */
const standard = new Set(['cpu', 'memory', 'ephemeral-storage']);

function validateResources(resources: Fields, at: string, errors: FieldError[]): void {
  const limits = (resources['limits'] ?? {}) as Readonly<Record<string, string>>;
  const requests = (resources['requests'] ?? {}) as Readonly<Record<string, string>>;
  for (const [field, map] of [
    ['limits', limits],
    ['requests', requests],
  ] as const)
    for (const [name, text] of Object.entries(map)) {
      const here = `${at}.${field}[${name}]`;
      for (const problem of qualifiedNameProblems(name)) errors.push(invalid(`${at}.${field}`, name, problem));
      if (!standard.has(name) && !name.includes('/') && !name.startsWith('hugepages-'))
        errors.push(invalid(here, name, 'must be a standard resource for containers'));
      const amount = nanosOf(text);
      if (amount === undefined) continue;
      if (amount < 0n) errors.push(invalid(here, text, 'must be greater than or equal to 0'));
      const limit = field === 'requests' ? nanosOf(limits[name]) : undefined;
      if (limit !== undefined && amount > limit)
        errors.push(invalid(`${at}.requests`, text, `must be less than or equal to ${name} limit of ${limits[name]}`));
    }
}

function nanosOf(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  try {
    return parseQuantity(text).nanos;
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
    throw error;
  }
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function validateToleration(toleration: Fields, at: string, errors: FieldError[]): void {
  const { key, operator, value, effect, tolerationSeconds } = toleration as {
    key?: string;
    operator?: string;
    value?: string;
    effect?: string;
    tolerationSeconds?: number;
  };
  if (key) for (const problem of qualifiedNameProblems(key)) errors.push(invalid(`${at}.key`, key, problem));
  else if (operator !== 'Exists')
    errors.push(
      invalid(
        `${at}.operator`,
        operator ?? '',
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ),
    );
  if (tolerationSeconds !== undefined && effect !== 'NoExecute')
    errors.push(invalid(`${at}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"));
  if (operator !== undefined && operator !== 'Exists' && operator !== 'Equal')
    errors.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']));
  if (operator === 'Exists' && value)
    errors.push(invalid(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
  if (effect && !effects.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, effects));
}

const immutableText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

export function validatePodUpdate(pod: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = (pod['spec'] ?? {}) as Fields;
  const before = (old['spec'] ?? {}) as Fields;
  for (const field of ['containers', 'initContainers'] as const) {
    const now = list(spec[field]);
    if (now.length !== list(before[field]).length) {
      errors.push(forbidden(`spec.${field}`, 'pod updates may not add or remove containers'));
      return errors;
    }
    for (const [index, container] of now.entries())
      if (!container['image']) errors.push(required(`spec.${field}[${index}].image`));
  }
  const tolerations = list(spec['tolerations']);
  if (!list(before['tolerations']).every((toleration) => tolerations.some((other) => equal(toleration, other))))
    errors.push(forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'));
  if (!equal(fixed(spec, before), before)) errors.push(forbidden('spec', immutableText));
  return errors;
}

/** The new spec with what may change put back. */
function fixed(spec: Fields, before: Fields): Fields {
  const images = (field: 'containers' | 'initContainers') => {
    const was = list(before[field]);
    return Array.isArray(spec[field])
      ? { [field]: list(spec[field]).map((container, index) => ({ ...container, image: was[index]!['image'] })) }
      : {};
  };
  const { activeDeadlineSeconds: _a, tolerations: _t, ...rest } = spec;
  const gates = before['schedulingGates'];
  return {
    ...rest,
    ...images('containers'),
    ...images('initContainers'),
    ...('activeDeadlineSeconds' in before && { activeDeadlineSeconds: before['activeDeadlineSeconds'] }),
    ...('tolerations' in before && { tolerations: before['tolerations'] }),
    // Gates may only be taken away.
    ...(gates !== undefined && { schedulingGates: gates }),
  };
}
