/**
 * What the server itself puts into an empty cluster, and puts right at each start: namespaces, roles and bindings, priority classes, the
 * range of service addresses and the `kubernetes` service. Goes straight to the store, as upstream's post-start hooks go past authorization.
 */

import { equal } from '#kube-machinery/json-patch.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { PolicyRule } from '../authorization/rbac.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceRegistry } from '../registry.ts';
import { timestamp, uuid } from '../rest/create.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { keyOf } from '../storage/stored-object.ts';
import type { WatchCache } from '../storage/watch-cache.ts';
import { type BindingSpec, clusterRoleBindings, controllerBinding } from './bindings.ts';
import { clusterRoles } from './cluster-roles.ts';
import { controllerRoles } from './controller-roles.ts';
import { kubernetesService } from './kubernetes-service.ts';
import { namespaceBindings, namespaceRoles } from './namespace-roles.ts';

export interface BootstrapConfig {
  /** Where pods reach the server: address and port. */
  readonly advertiseAddress: string;
  readonly advertisePort: number;
  readonly serviceClusterIpRange: string;
}

export interface BootstrapDeps {
  readonly registry: ResourceRegistry;
  readonly store: ObjectStore;
  readonly cache: WatchCache;
  readonly clock: Clock;
  readonly prng: Prng;
}

/** Writes under way at a time. */
const parallelMax = 64;

export async function bootstrap(config: BootstrapConfig, deps: BootstrapDeps): Promise<void> {
  const put = (object: KubeObject, reconcile?: (current: KubeObject) => KubeObject) => ensure(object, deps, reconcile);
  const tasks: (() => Promise<void>)[] = [];
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease'])
    tasks.push(() =>
      put({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      }),
    );
  for (const { name, rules, labels, aggregates } of clusterRoles)
    tasks.push(() =>
      put(
        {
          ...roleHead('ClusterRole', name, labels),
          ...(aggregates && { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregates]: 'true' } }] } }),
          rules,
        },
        // Aggregated rules belong to whoever joined them.
        aggregates ? undefined : withRules(rules),
      ),
    );
  for (const [account, rules] of Object.entries(controllerRoles)) {
    const { name } = controllerBinding(account);
    tasks.push(() => put({ ...roleHead('ClusterRole', name), rules }, withRules(rules)));
  }
  for (const binding of [...clusterRoleBindings, ...Object.keys(controllerRoles).map(controllerBinding)])
    tasks.push(() => put(bindingObject(binding)));
  for (const { namespace, name, rules } of namespaceRoles)
    tasks.push(() => put(placed({ ...roleHead('Role', name), rules }, namespace), withRules(rules)));
  for (const binding of namespaceBindings)
    tasks.push(() => put(placed(bindingObject(binding, 'Role'), binding.namespace)));
  for (const [name, value, description] of priorityClasses)
    tasks.push(() =>
      put({
        apiVersion: 'scheduling.k8s.io/v1',
        kind: 'PriorityClass',
        metadata: { name, generation: 1 },
        value,
        description,
        preemptionPolicy: 'PreemptLowerPriority',
      }),
    );
  for (const { object, reconcile } of kubernetesService(config)) tasks.push(() => put(object, reconcile));

  const waiting = tasks[Symbol.iterator]();
  const worker = async () => {
    for (const task of waiting) await task();
  };
  await Promise.all(Array.from({ length: parallelMax }, worker));
}

const priorityClasses = [
  [
    'system-cluster-critical',
    2_000_000_000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ],
  [
    'system-node-critical',
    2_000_001_000,
    'Used for system critical pods that must not be moved from their current node.',
  ],
] as const;

/** Creates what is not there; puts right what is there as `reconcile` says. */
async function ensure(
  object: KubeObject,
  { registry, store, cache, clock, prng }: BootstrapDeps,
  reconcile?: (current: KubeObject) => KubeObject,
): Promise<void> {
  const slash = object.apiVersion.indexOf('/');
  const group = object.apiVersion.slice(0, Math.max(slash, 0));
  const served = registry.findKind(group, object.apiVersion.slice(slash + 1), object.kind);
  if (served === undefined) throw new Error(`${object.kind} is not served`);
  const { resource } = served;
  const key = keyOf(resource, object.metadata.namespace ?? '', object.metadata.name!);
  const cached = cache.kind(resource.storagePath).get(key);
  if (cached === undefined) {
    const created = await store.create(key, {
      ...object,
      metadata: { ...object.metadata, uid: uuid(prng), creationTimestamp: timestamp(clock.now()) },
    });
    if (created !== undefined) return;
  }
  if (reconcile === undefined) return;
  await store.update(
    key,
    (current) => {
      if (current === undefined) throw new Error(`${key} went away`);
      const next = reconcile(current);
      return equal(next, current) ? { kind: 'keep', object: current } : { kind: 'put', object: next };
    },
    cached,
  );
}

const autoupdate = 'rbac.authorization.kubernetes.io/autoupdate';

function roleHead(kind: string, name: string, labels: Readonly<Record<string, string>> = {}): KubeObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: {
      name,
      annotations: { [autoupdate]: 'true' },
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
    },
  };
}

/** Rules that an upgrade brought are added unless the administrator has said not to. */
function withRules(rules: readonly PolicyRule[]): (current: KubeObject) => KubeObject {
  return (current) => {
    if (current.metadata.annotations?.[autoupdate] !== 'true') return current;
    const present = (current['rules'] ?? []) as readonly PolicyRule[];
    const missing = rules.filter((rule) => !present.some((other) => equal(rule, other)));
    return missing.length === 0 ? current : { ...current, rules: [...present, ...missing] };
  };
}

function placed(object: KubeObject, namespace: string): KubeObject {
  return { ...object, metadata: { ...object.metadata, namespace } };
}

/** @param kind of the role; the binding is of the same scope */
function bindingObject(
  { name, role, subjects }: BindingSpec,
  kind: 'ClusterRole' | 'Role' = 'ClusterRole',
): KubeObject {
  return {
    ...roleHead(`${kind}Binding`, name),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: role },
    ...(subjects.length > 0 && { subjects: subjects.map(subjectObject) }),
  };
}

function subjectObject(text: string): object {
  const colon = text.indexOf(':');
  const kind = text.slice(0, colon);
  const subject = text.slice(colon + 1);
  if (kind !== 'ServiceAccount') return { apiGroup: 'rbac.authorization.k8s.io', kind, name: subject };
  const [namespace, account] = subject.split('/');
  return { kind, name: account, namespace };
}
