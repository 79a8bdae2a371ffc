/** What a pod is to be, in pods and in templates. Checks and their order are those of ValidatePodSpec of pkg/apis/core/validation. */
import { isIP } from 'node:net';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { dns1123LabelProblems, dns1123SubdomainProblems, qualifiedNameProblems } from '#kube-machinery/names.ts';
import { validateContainers, validateEphemeralContainers, validateInitContainers } from './containers.ts';
import { check, choose, type Fields, list, record, text, words } from './fields.ts';
import { validateLabels } from './metadata.ts';
import { validateAffinity, validateTolerations, validateTopologySpread } from './placement.ts';
import { validatePodSecurityContext } from './security-context.ts';
import { validateVolumes } from './volumes.ts';

const nameserversMax = 3;
const searchPathsMax = 32;
const searchCharactersMax = 2048;

/** @param at path of the spec @param isPod not a template */
export function validatePodSpec(spec: Fields, at: string, isPod = false): FieldError[] {
  const errors: FieldError[] = [];
  const graceSeconds = spec['terminationGracePeriodSeconds'] as number | undefined;
  if (graceSeconds === undefined) errors.push(required(`${at}.terminationGracePeriodSeconds`));
  const volumes = validateVolumes(list(spec['volumes']), `${at}.volumes`, errors);
  validateClaims(list(spec['resourceClaims']), `${at}.resourceClaims`, errors);
  const around = { volumes, graceSeconds, isPod };
  const regular = list(spec['containers']);
  const init = list(spec['initContainers']);
  validateContainers(regular, `${at}.containers`, around, errors);
  validateInitContainers(init, `${at}.initContainers`, regular, around, errors);
  validateEphemeralContainers(
    list(spec['ephemeralContainers']),
    `${at}.ephemeralContainers`,
    [...regular, ...init],
    around,
    errors,
  );
  if (spec['hostNetwork'] === true) checkHostNetworkPorts(regular, `${at}.containers`, isPod, errors);
  choose(errors, `${at}.restartPolicy`, spec['restartPolicy'], ['Always', 'OnFailure', 'Never']);
  choose(errors, `${at}.dnsPolicy`, spec['dnsPolicy'], ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']);
  errors.push(
    ...validateLabels(spec['nodeSelector'] as Readonly<Record<string, string>> | undefined, `${at}.nodeSelector`),
  );
  validatePodSecurityContext(spec, at, errors);
  const affinity = record(spec['affinity']);
  if (affinity !== undefined) validateAffinity(affinity, `${at}.affinity`, errors);
  validateDns(record(spec['dnsConfig']), text(spec['dnsPolicy']), `${at}.dnsConfig`, errors);
  for (const [index, gate] of list(spec['readinessGates']).entries())
    check(errors, `${at}.readinessGates[${index}].conditionType`, text(gate['conditionType']), qualifiedNameProblems);
  validateSchedulingGates(list(spec['schedulingGates']), `${at}.schedulingGates`, errors);
  validateTopologySpread(list(spec['topologySpreadConstraints']), `${at}.topologySpreadConstraints`, errors);
  const name = (field: string, problems: (value: string) => readonly string[]) => {
    if (text(spec[field]) !== '') check(errors, `${at}.${field}`, text(spec[field]), problems);
  };
  name('serviceAccountName', dns1123SubdomainProblems);
  name('nodeName', dns1123SubdomainProblems);
  const deadline = spec['activeDeadlineSeconds'] as number | undefined;
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1))
    errors.push(invalid(`${at}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'));
  name('hostname', dns1123LabelProblems);
  name('subdomain', dns1123LabelProblems);
  validateTolerations(list(spec['tolerations']), `${at}.tolerations`, errors);
  for (const [index, alias] of list(spec['hostAliases']).entries()) {
    const here = `${at}.hostAliases[${index}]`;
    checkIp(errors, `${here}.ip`, text(alias['ip']));
    for (const [i, hostname] of words(alias['hostnames']).entries())
      check(errors, `${here}.hostnames[${i}]`, hostname, dns1123SubdomainProblems);
  }
  name('priorityClassName', dns1123SubdomainProblems);
  name('runtimeClassName', dns1123SubdomainProblems);
  if (spec['preemptionPolicy'] !== undefined)
    choose(errors, `${at}.preemptionPolicy`, spec['preemptionPolicy'], ['PreemptLowerPriority', 'Never']);
  const os = record(spec['os']);
  if (os !== undefined) {
    const system = text(os['name']);
    if (system === '') errors.push(required(`${at}.os.name`));
    else if (system !== 'linux' && system !== 'windows')
      errors.push(notSupported(`${at}.os.name`, system, ['linux', 'windows']));
  }
  return errors;
}

export function checkIp(errors: FieldError[], at: string, address: string): void {
  if (isIP(address) === 0)
    errors.push(invalid(at, address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
}

function validateClaims(claims: readonly Fields[], at: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, claim] of claims.entries()) {
    const here = `${at}[${index}]`;
    const name = text(claim['name']);
    if (name === '') errors.push(required(`${here}.name`));
    else if (names.has(name)) errors.push(duplicate(`${here}.name`, name));
    else check(errors, `${here}.name`, name, dns1123LabelProblems);
    names.add(name);
    const sources = ['resourceClaimName', 'resourceClaimTemplateName'].filter((field) => claim[field] !== undefined);
    if (sources.length === 2)
      errors.push(
        invalid(here, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'),
      );
    if (sources.length === 0)
      errors.push(invalid(here, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'));
    for (const field of sources) check(errors, `${here}.${field}`, text(claim[field]), dns1123SubdomainProblems);
  }
}

/** In a template the host port may be left out: the pod gets it as a default. */
function checkHostNetworkPorts(containers: readonly Fields[], at: string, isPod: boolean, errors: FieldError[]): void {
  for (const [index, container] of containers.entries())
    for (const [portIndex, port] of list(container['ports']).entries()) {
      const hostPort = (port['hostPort'] ?? 0) as number;
      if ((isPod || hostPort !== 0) && hostPort !== port['containerPort'])
        errors.push(
          invalid(
            `${at}[${index}].ports[${portIndex}].hostPort`,
            hostPort,
            'must match `containerPort` when `hostNetwork` is true',
          ),
        );
    }
}

function validateSchedulingGates(gates: readonly Fields[], at: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, gate] of gates.entries()) {
    const name = text(gate['name']);
    check(errors, `${at}[${index}]`, name, qualifiedNameProblems);
    if (names.has(name)) errors.push(duplicate(`${at}[${index}]`, name));
    names.add(name);
  }
}

function validateDns(config: Fields | undefined, policy: string, at: string, errors: FieldError[]): void {
  const nameservers = words(config?.['nameservers']);
  if (policy === 'None') {
    if (config === undefined) {
      errors.push(required(at, 'must provide `dnsConfig` when `dnsPolicy` is None'));
      return;
    }
    if (nameservers.length === 0) {
      errors.push(required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'));
      return;
    }
  }
  if (config === undefined) return;
  if (nameservers.length > nameserversMax)
    errors.push(invalid(`${at}.nameservers`, nameservers, `must not have more than ${nameserversMax} nameservers`));
  for (const [index, address] of nameservers.entries()) checkIp(errors, `${at}.nameservers[${index}]`, address);
  const searches = words(config['searches']);
  if (searches.length > searchPathsMax)
    errors.push(invalid(`${at}.searches`, searches, `must not have more than ${searchPathsMax} search paths`));
  if (searches.join(' ').length > searchCharactersMax)
    errors.push(
      invalid(
        `${at}.searches`,
        searches,
        `must not have more than ${searchCharactersMax} characters (including spaces) in the search list`,
      ),
    );
  // Underscores are allowed here, where resolvers take them.
  for (const [index, search] of searches.entries())
    if (search !== '.')
      check(errors, `${at}.searches[${index}]`, search.replace(/\.$/, ''), (value) =>
        dns1123SubdomainProblems(value.replaceAll('_', '-').replace(/(^|\.)-/g, '$1x')),
      );
  for (const [index, option] of list(config['options']).entries())
    if (text(option['name']) === '') errors.push(required(`${at}.options[${index}]`, 'must not be empty'));
}

/** A pod itself, beyond what its spec alone tells. */
export function validateTokenVolumes(spec: Fields, errors: FieldError[]): void {
  if (text(spec['serviceAccountName']) !== '') return;
  for (const [index, volume] of list(spec['volumes']).entries())
    for (const [sourceIndex, source] of list(record(volume['projected'])?.['sources']).entries())
      if (source['serviceAccountToken'] !== undefined)
        errors.push(
          forbidden(
            `spec.volumes[${index}].projected.sources[${sourceIndex}].serviceAccountToken`,
            'must not be specified when serviceAccountName is not set',
          ),
        );
}
