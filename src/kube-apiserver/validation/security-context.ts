/** Security contexts of pods and containers. Source: pkg/apis/core/validation. */
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { descendingPath, type Fields, list, record, text, words } from './fields.ts';

const idRange = 'must be between 0 and 2147483647, inclusive';
const idMax = 2 ** 31 - 1;

function validateId(errors: FieldError[], at: string, value: unknown): void {
  if (value !== undefined && ((value as number) < 0 || (value as number) > idMax))
    errors.push(invalid(at, value, idRange));
}

export function validateSecurityContext(context: Fields, at: string, errors: FieldError[]): void {
  validateId(errors, `${at}.runAsUser`, context['runAsUser']);
  validateId(errors, `${at}.runAsGroup`, context['runAsGroup']);
  const procMount = context['procMount'];
  if (procMount !== undefined && procMount !== 'Default' && procMount !== 'Unmasked')
    errors.push(notSupported(`${at}.procMount`, procMount, ['Default', 'Unmasked']));
  validateSeccomp(record(context['seccompProfile']), `${at}.seccompProfile`, errors);
  if (context['allowPrivilegeEscalation'] === false) {
    if (context['privileged'] === true)
      errors.push(invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    if (words(record(context['capabilities'])?.['add']).includes('CAP_SYS_ADMIN'))
      errors.push(
        invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'),
      );
  }
  validateAppArmor(record(context['appArmorProfile']), `${at}.appArmorProfile`, errors);
}

/** @param spec the pod's, with the fields that upstream's internal form keeps in the context @param at of the spec */
export function validatePodSecurityContext(spec: Fields, at: string, errors: FieldError[]): void {
  if (spec['hostPID'] === true && spec['shareProcessNamespace'] === true)
    errors.push(
      invalid(`${at}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    );
  const context = record(spec['securityContext']);
  if (context === undefined) return;
  const here = `${at}.securityContext`;
  validateId(errors, `${here}.fsGroup`, context['fsGroup']);
  validateId(errors, `${here}.runAsUser`, context['runAsUser']);
  validateId(errors, `${here}.runAsGroup`, context['runAsGroup']);
  for (const [index, group] of ((context['supplementalGroups'] ?? []) as number[]).entries())
    validateId(errors, `${here}.supplementalGroups[${index}]`, group);
  validateSysctls(list(context['sysctls']), `${here}.sysctls`, errors);
  const change = context['fsGroupChangePolicy'];
  if (change !== undefined && change !== 'Always' && change !== 'OnRootMismatch')
    errors.push(notSupported(`${here}.fsGroupChangePolicy`, change, ['Always', 'OnRootMismatch']));
  validateSeccomp(record(context['seccompProfile']), `${here}.seccompProfile`, errors);
  validateAppArmor(record(context['appArmorProfile']), `${here}.appArmorProfile`, errors);
  if (spec['hostUsers'] !== false) return;
  for (const [field, name] of [
    ['hostNetwork', 'hostNetwork'],
    ['hostPID', 'HostPID'],
    ['hostIPC', 'HostIPC'],
  ] as const)
    if (spec[field] === true) errors.push(forbidden(`${at}.${name}`, 'when `pod.Spec.HostUsers` is false'));
}

const sysctlSegment = '[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const sysctlPattern = `^(${sysctlSegment}[\\./])*${sysctlSegment}$`;
const sysctlName = new RegExp(sysctlPattern);
const sysctlBytesMax = 253;

function validateSysctls(sysctls: readonly Fields[], at: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, sysctl] of sysctls.entries()) {
    const here = `${at}[${index}].name`;
    const name = text(sysctl['name']);
    if (name === '') errors.push(required(here));
    else if (name.length > sysctlBytesMax || !sysctlName.test(name))
      errors.push(
        invalid(here, name, `must have at most ${sysctlBytesMax} characters and match regex ${sysctlPattern}`),
      );
    else if (names.has(name)) errors.push(duplicate(here, name));
    names.add(name);
  }
}

const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined'];

function validateSeccomp(profile: Fields | undefined, at: string, errors: FieldError[]): void {
  if (profile === undefined) return;
  const type = text(profile['type']);
  if (type === '') errors.push(required(`${at}.type`, 'type is required when seccompProfile is set'));
  else if (!profileTypes.includes(type)) errors.push(notSupported(`${at}.type`, type, profileTypes));
  const local = profile['localhostProfile'] as string | undefined;
  if (type !== 'Localhost') {
    if (local !== undefined)
      errors.push(invalid(`${at}.localhostProfile`, profile, 'can only be set when seccomp type is Localhost'));
  } else if (local === undefined)
    errors.push(required(`${at}.localhostProfile`, 'must be set when seccomp type is Localhost'));
  else descendingPath(errors, `${at}.localhostProfile`, local);
}

function validateAppArmor(profile: Fields | undefined, at: string, errors: FieldError[]): void {
  if (profile === undefined) return;
  const type = text(profile['type']);
  if (type === '') errors.push(required(`${at}.type`, 'type is required when appArmorProfile is set'));
  else if (!profileTypes.includes(type)) errors.push(notSupported(`${at}.type`, type, profileTypes));
  const local = profile['localhostProfile'] as string | undefined;
  const here = `${at}.localhostProfile`;
  if (type !== 'Localhost') {
    if (local !== undefined && profileTypes.includes(type))
      errors.push(invalid(here, local, 'can only be set when AppArmor type is Localhost'));
  } else if (local === undefined || local === '')
    errors.push(required(here, 'must be set when AppArmor type is Localhost'));
  else if (local.trim() !== local) errors.push(invalid(here, local, 'must not be padded with whitespace'));
}
