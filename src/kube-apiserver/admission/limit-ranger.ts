/**
 * A namespace's limit ranges: defaults for containers that say nothing, bounds for containers, pods and claims. Source: plugin LimitRanger.
 */
import { Quantity, quantityOrZero } from '#kube-machinery/quantity.ts';
import { forbiddenError } from '#kube-machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { type Fields, isPodCreate, specOf } from './pods.ts';

type Amounts = Readonly<Record<string, string>>;

interface Limit {
  readonly type: string;
  readonly min?: Amounts;
  readonly max?: Amounts;
  readonly default?: Amounts;
  readonly defaultRequest?: Amounts;
  readonly maxLimitRequestRatio?: Amounts;
}

interface Resources {
  readonly requests?: Amounts;
  readonly limits?: Amounts;
}

const limitRanges = { group: '', resource: 'limitranges' };
const annotation = 'kubernetes.io/limit-ranger';

const isClaim = ({ resource, operation, subresource }: AdmissionRequest) =>
  resource.resource === 'persistentvolumeclaims' &&
  resource.group === '' &&
  subresource === '' &&
  (operation === 'CREATE' || operation === 'UPDATE');

export function limitRanger(reader: ObjectReader): AdmissionPlugin {
  const limitsIn = (namespace: string): readonly Limit[] =>
    [...reader.list(limitRanges, namespace)].flatMap(
      (range) => ((range['spec'] ?? {}) as { readonly limits?: readonly Limit[] }).limits ?? [],
    );
  return {
    name: 'LimitRanger',
    handles: (request) => isPodCreate(request) || isClaim(request),
    mutate(request) {
      if (!isPodCreate(request)) return request.object;
      return withDefaults(request.object!, limitsIn(request.namespace));
    },
    validate(request) {
      // What is going away may still lose its finalizers.
      if (request.object?.metadata.deletionTimestamp !== undefined) return;
      const limits = limitsIn(request.namespace);
      if (limits.length === 0) return;
      const spec = specOf(request);
      const problems = isClaim(request) ? claimProblems(spec, limits) : podProblems(spec, limits);
      if (problems.length === 0) return;
      // As several errors are printed together: once each.
      const unique = [...new Set(problems)];
      const text = unique.length === 1 ? unique[0]! : `[${unique.join(', ')}]`;
      throw forbiddenError({ group: '', resource: request.resource.resource }, request.name, text);
    },
  };
}

function withDefaults(pod: KubeObject, limits: readonly Limit[]): KubeObject {
  const ofContainers = limits.filter(({ type }) => type === 'Container');
  const requests: Amounts = Object.assign({}, ...ofContainers.map((limit) => limit.defaultRequest ?? {}));
  const most: Amounts = Object.assign({}, ...ofContainers.map((limit) => limit.default ?? {}));
  const told: string[] = [];
  const fill = (what: string) => (container: Fields) => {
    const given = (container['resources'] ?? {}) as Resources;
    const added = (wanted: Amounts, present: Amounts = {}) => Object.keys(wanted).filter((name) => !(name in present));
    const newRequests = added(requests, given.requests);
    const newLimits = added(most, given.limits);
    const name = String(container['name']);
    if (newRequests.length > 0) told.push(`${newRequests.sort().join(', ')} request for ${what} ${name}`);
    if (newLimits.length > 0) told.push(`${newLimits.sort().join(', ')} limit for ${what} ${name}`);
    if (newRequests.length === 0 && newLimits.length === 0) return container;
    return {
      ...container,
      resources: {
        ...given,
        ...(newLimits.length > 0 && { limits: { ...most, ...given.limits } }),
        ...(newRequests.length > 0 && { requests: { ...requests, ...given.requests } }),
      },
    };
  };
  const spec = (pod['spec'] ?? {}) as Fields;
  const containers = listOf(spec, 'containers').map(fill('container'));
  const initContainers = listOf(spec, 'initContainers').map(fill('init container'));
  if (told.length === 0) return pod;
  const annotations = { ...pod.metadata.annotations, [annotation]: `LimitRanger plugin set: ${told.join('; ')}` };
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations },
    spec: { ...spec, containers, ...(initContainers.length > 0 && { initContainers }) },
  };
}

function listOf(spec: Fields, field: string): readonly Fields[] {
  return (spec[field] ?? []) as readonly Fields[];
}

function resourcesOf(container: Fields): Resources {
  return (container['resources'] ?? {}) as Resources;
}

function podProblems(spec: Fields, limits: readonly Limit[]): readonly string[] {
  const containers = listOf(spec, 'containers').map(resourcesOf);
  const initContainers = listOf(spec, 'initContainers').map(resourcesOf);
  return limits.flatMap((limit) => {
    if (limit.type === 'Container')
      return [...containers, ...initContainers].flatMap((resources) => problemsOf(limit, resources));
    if (limit.type !== 'Pod') return [];
    return problemsOf(limit, {
      requests: total(containers, initContainers, 'requests'),
      limits: total(containers, initContainers, 'limits'),
    });
  });
}

/** What containers need together, where all of them say; init containers run one after the other before them. */
function total(
  containers: readonly Resources[],
  initContainers: readonly Resources[],
  field: keyof Resources,
): Amounts {
  const sums = new Map<string, Quantity>();
  for (const name of new Set(containers.flatMap((resources) => Object.keys(resources[field] ?? {}))))
    if (containers.every((resources) => resources[field]?.[name] !== undefined))
      sums.set(
        name,
        containers.map((resources) => quantityOrZero(resources[field]?.[name])).reduce((sum, one) => sum.add(one)),
      );
  for (const resources of initContainers)
    for (const [name, text] of Object.entries(resources[field] ?? {})) {
      const value = quantityOrZero(text);
      if (value.compare(sums.get(name) ?? new Quantity(-1n, 'DecimalSI')) > 0) sums.set(name, value);
    }
  return Object.fromEntries([...sums].map(([name, value]) => [name, value.toString()]));
}

function problemsOf(limit: Limit, { requests = {}, limits = {} }: Resources): readonly string[] {
  const problems: string[] = [];
  const each = (
    bounds: Amounts | undefined,
    word: string,
    check: (bound: Quantity, name: string) => string | undefined,
  ) => {
    for (const name of Object.keys(bounds ?? {}).sort()) {
      const bound = quantityOrZero(bounds![name]);
      const why = check(bound, name);
      if (why !== undefined) problems.push(`${word.replace('%', name)} per ${limit.type} is ${bound}${why}`);
    }
  };
  each(limit.min, 'minimum % usage', (bound, name) => {
    if (requests[name] === undefined) return '.  No request is specified';
    if (quantityOrZero(requests[name]).compare(bound) < 0) return `, but request is ${quantityOrZero(requests[name])}`;
    if (limits[name] !== undefined && quantityOrZero(limits[name]).compare(bound) < 0)
      return `, but limit is ${quantityOrZero(limits[name])}`;
    return undefined;
  });
  each(limit.max, 'maximum % usage', (bound, name) => {
    if (limits[name] === undefined) return '.  No limit is specified';
    if (quantityOrZero(limits[name]).compare(bound) > 0) return `, but limit is ${quantityOrZero(limits[name])}`;
    if (requests[name] !== undefined && quantityOrZero(requests[name]).compare(bound) > 0)
      return `, but request is ${quantityOrZero(requests[name])}`;
    return undefined;
  });
  each(limit.maxLimitRequestRatio, '% max limit to request ratio', (bound, name) => {
    const request = quantityOrZero(requests[name]).nanos;
    const most = quantityOrZero(limits[name]).nanos;
    if (request === 0n) return ', but no request is specified or request is 0';
    if (most === 0n) return ', but no limit is specified or limit is 0';
    // limit / request > bound, without a fraction.
    if (most * 1_000_000_000n <= bound.nanos * request) return undefined;
    return `, but provided ratio is ${(Number(most) / Number(request)).toFixed(6)}`;
  });
  return problems;
}

function claimProblems(spec: Fields, limits: readonly Limit[]): readonly string[] {
  const { requests = {} } = resourcesOf(spec);
  return limits
    .filter(({ type }) => type === 'PersistentVolumeClaim')
    .flatMap(({ type, min, max = {} }) => [
      ...problemsOf({ type, ...(min && { min }) }, { requests }),
      ...Object.keys(max)
        .sort()
        .flatMap((name) => {
          const bound = quantityOrZero(max[name]);
          const head = `maximum ${name} usage per ${type} is ${bound}`;
          if (requests[name] === undefined) return [`${head}.  No request is specified`];
          const request = quantityOrZero(requests[name]);
          return request.compare(bound) > 0 ? [`${head}, but request is ${request}`] : [];
        }),
    ]);
}
