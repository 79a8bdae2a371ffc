/** Containers of a pod: regular, init and ephemeral ones. Source: pkg/apis/core/validation. */
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
} from '#kube-machinery/field-error.ts';
import { dns1123LabelProblems, portNameProblems, portNumberProblems } from '#kube-machinery/names.ts';
import { validateEnv, validateEnvFrom } from './environment.ts';
import { check, choose, descendingPath, type Fields, list, record, text } from './fields.ts';
import { probeNames, validateLifecycle, validateProbes } from './probes.ts';
import { validateResources } from './resources.ts';
import { validateSecurityContext } from './security-context.ts';

/** What containers refer to in their pod. */
export interface Surroundings {
  /** Volumes by name. */
  readonly volumes: ReadonlyMap<string, Fields>;
  readonly graceSeconds: number | undefined;
  /** Not a template: what is tolerated there is not here. */
  readonly isPod: boolean;
}

export function validateContainers(
  containers: readonly Fields[],
  at: string,
  around: Surroundings,
  errors: FieldError[],
): void {
  if (containers.length === 0) {
    errors.push(required(at));
    return;
  }
  const names = new Set<string>();
  for (const [index, container] of containers.entries()) {
    const here = `${at}[${index}]`;
    validateCommon(container, here, around, errors);
    unique(container, here, names, errors);
    const lifecycle = record(container['lifecycle']);
    if (lifecycle !== undefined) validateLifecycle(lifecycle, `${here}.lifecycle`, around.graceSeconds, errors);
    validateProbes(container, here, around.graceSeconds, errors);
  }
  checkHostPorts(containers, at, errors);
}

export function validateInitContainers(
  containers: readonly Fields[],
  at: string,
  regular: readonly Fields[],
  around: Surroundings,
  errors: FieldError[],
): void {
  const names = new Set(regular.map((container) => text(container['name'])));
  for (const [index, container] of containers.entries()) {
    const here = `${at}[${index}]`;
    validateCommon(container, here, around, errors);
    const restart = container['restartPolicy'];
    if (restart !== undefined && restart !== 'Always')
      errors.push(notSupported(`${here}.restartPolicy`, restart, ['Always']));
    unique(container, here, names, errors);
    checkHostPorts([container], at, errors);
    if (restart === 'Always') {
      const lifecycle = record(container['lifecycle']);
      if (lifecycle !== undefined) validateLifecycle(lifecycle, `${here}.lifecycle`, around.graceSeconds, errors);
      validateProbes(container, here, around.graceSeconds, errors);
      continue;
    }
    for (const field of ['lifecycle', ...probeNames])
      if (container[field] !== undefined)
        errors.push(forbidden(`${here}.${field}`, 'may not be set for init containers without restartPolicy=Always'));
  }
}

const forbiddenInEphemeral = [
  'ports',
  'resources',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'resizePolicy',
  'restartPolicy',
];

export function validateEphemeralContainers(
  containers: readonly Fields[],
  at: string,
  others: readonly Fields[],
  around: Surroundings,
  errors: FieldError[],
): void {
  const targets = new Set(others.map((container) => text(container['name'])));
  const names = new Set(targets);
  for (const [index, container] of containers.entries()) {
    const here = `${at}[${index}]`;
    validateCommon(container, here, around, errors);
    unique(container, here, names, errors);
    const target = text(container['targetContainerName']);
    if (target !== '' && !targets.has(target)) errors.push(notFound(`${here}.targetContainerName`, target));
    for (const field of forbiddenInEphemeral) {
      const value = container[field];
      if (value !== undefined && Object.keys(value as object).length > 0)
        errors.push(forbidden(`${here}.${field}`, 'cannot be set for an Ephemeral Container'));
    }
    for (const [mountIndex, mount] of list(container['volumeMounts']).entries())
      for (const field of ['subPath', 'subPathExpr'])
        if (text(mount[field]) !== '')
          errors.push(
            forbidden(`${here}.volumeMounts[${mountIndex}].${field}`, 'cannot be set for an Ephemeral Container'),
          );
  }
}

function unique(container: Fields, at: string, names: Set<string>, errors: FieldError[]): void {
  const name = text(container['name']);
  if (name !== '' && names.has(name)) errors.push(duplicate(`${at}.name`, name));
  names.add(name);
}

function validateCommon(container: Fields, at: string, around: Surroundings, errors: FieldError[]): void {
  const name = text(container['name']);
  if (name === '') errors.push(required(`${at}.name`));
  else check(errors, `${at}.name`, name, dns1123LabelProblems);
  const image = text(container['image']);
  if (image === '') errors.push(required(`${at}.image`));
  else if (around.isPod && image.trim() !== image)
    errors.push(invalid(`${at}.image`, image, 'must not have leading or trailing whitespace'));
  choose(errors, `${at}.terminationMessagePolicy`, container['terminationMessagePolicy'], [
    'File',
    'FallbackToLogsOnError',
  ]);
  validatePorts(list(container['ports']), `${at}.ports`, errors);
  validateEnv(list(container['env']), `${at}.env`, errors);
  validateEnvFrom(list(container['envFrom']), `${at}.envFrom`, errors);
  validateMounts(container, `${at}.volumeMounts`, around.volumes, errors);
  validateDevices(container, `${at}.volumeDevices`, around.volumes, errors);
  choose(errors, `${at}.imagePullPolicy`, container['imagePullPolicy'], ['Always', 'IfNotPresent', 'Never']);
  validateResources(record(container['resources']) ?? {}, `${at}.resources`, errors);
  const security = record(container['securityContext']);
  if (security !== undefined) validateSecurityContext(security, `${at}.securityContext`, errors);
}

function validatePorts(ports: readonly Fields[], at: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const here = `${at}[${index}]`;
    const name = text(port['name']);
    if (name !== '') {
      const problems = portNameProblems(name);
      for (const problem of problems) errors.push(invalid(`${here}.name`, name, problem));
      if (problems.length === 0 && names.has(name)) errors.push(duplicate(`${here}.name`, name));
      names.add(name);
    }
    const number = (port['containerPort'] ?? 0) as number;
    if (number === 0) errors.push(required(`${here}.containerPort`));
    else
      for (const problem of portNumberProblems(number)) errors.push(invalid(`${here}.containerPort`, number, problem));
    const hostPort = (port['hostPort'] ?? 0) as number;
    if (hostPort !== 0)
      for (const problem of portNumberProblems(hostPort)) errors.push(invalid(`${here}.hostPort`, hostPort, problem));
    choose(errors, `${here}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']);
  }
}

function checkHostPorts(containers: readonly Fields[], at: string, errors: FieldError[]): void {
  const taken = new Set<string>();
  for (const [index, container] of containers.entries())
    for (const [portIndex, port] of list(container['ports']).entries()) {
      if (!port['hostPort']) continue;
      const key = `${text(port['protocol'])}/${text(port['hostIP'])}/${port['hostPort']}`;
      if (taken.has(key)) errors.push(duplicate(`${at}[${index}].ports[${portIndex}].hostPort`, key));
      taken.add(key);
    }
}

const propagations = ['Bidirectional', 'HostToContainer', 'None'];

/** Paths of what is wrong inside a mount are upstream's, which leave out the mount's index. */
function validateMounts(
  container: Fields,
  at: string,
  volumes: ReadonlyMap<string, Fields>,
  errors: FieldError[],
): void {
  const devices = list(container['volumeDevices']);
  const paths = new Set<string>();
  for (const [index, mount] of list(container['volumeMounts']).entries()) {
    const here = `${at}[${index}]`;
    const name = text(mount['name']);
    if (name === '') errors.push(required(`${here}.name`));
    if (!volumes.has(name)) errors.push(notFound(`${here}.name`, name));
    const path = text(mount['mountPath']);
    if (path === '') errors.push(required(`${here}.mountPath`));
    if (paths.has(path)) errors.push(invalid(`${here}.mountPath`, path, 'must be unique'));
    paths.add(path);
    if (devices.some((device) => device['name'] === name))
      errors.push(invalid(`${here}.name`, name, 'must not already exist in volumeDevices'));
    if (devices.some((device) => device['devicePath'] === path))
      errors.push(invalid(`${here}.mountPath`, path, 'must not already exist as a path in volumeDevices'));
    const subPath = text(mount['subPath']);
    const expression = text(mount['subPathExpr']);
    if (subPath !== '') descendingPath(errors, `${at}.subPath`, subPath);
    if (expression !== '') {
      if (subPath !== '')
        errors.push(invalid(`${here}.subPathExpr`, expression, 'subPathExpr and subPath are mutually exclusive'));
      descendingPath(errors, `${at}.subPathExpr`, expression);
    }
    const propagation = mount['mountPropagation'];
    if (propagation === undefined) continue;
    if (!propagations.includes(propagation as string))
      errors.push(notSupported(`${at}.mountPropagation`, propagation, propagations));
    if (propagation === 'Bidirectional' && record(container['securityContext'])?.['privileged'] !== true)
      errors.push(
        forbidden(
          `${at}.mountPropagation`,
          'Bidirectional mount propagation is available only to privileged containers',
        ),
      );
  }
}

function validateDevices(
  container: Fields,
  at: string,
  volumes: ReadonlyMap<string, Fields>,
  errors: FieldError[],
): void {
  const mounts = list(container['volumeMounts']);
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const [index, device] of list(container['volumeDevices']).entries()) {
    const here = `${at}[${index}]`;
    const name = text(device['name']);
    const path = text(device['devicePath']);
    const volume = volumes.get(name);
    if (name === '') errors.push(required(`${here}.name`));
    if (names.has(name)) errors.push(invalid(`${here}.name`, name, 'must be unique'));
    if (volume === undefined) errors.push(notFound(`${here}.name`, name));
    else if (!('persistentVolumeClaim' in volume) && !('ephemeral' in volume))
      errors.push(
        invalid(
          `${here}.name`,
          name,
          'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
        ),
      );
    if (path === '') errors.push(required(`${here}.devicePath`));
    if (paths.has(path)) errors.push(invalid(`${here}.devicePath`, path, 'must be unique'));
    if (path.split('/').includes('..'))
      errors.push(invalid(`${here}.devicePath`, path, "can not contain backsteps ('..')"));
    paths.add(path);
    if (mounts.some((mount) => mount['name'] === name))
      errors.push(invalid(`${here}.name`, name, 'must not already exist in volumeMounts'));
    if (mounts.some((mount) => mount['mountPath'] === path))
      errors.push(invalid(`${here}.devicePath`, path, 'must not already exist as a path in volumeMounts'));
    if (name !== '') names.add(name);
  }
}
