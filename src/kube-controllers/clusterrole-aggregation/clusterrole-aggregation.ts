/** Fills cluster roles that have an aggregation rule with the rules of those they select. */
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { type LabelSelector, matches, selectorOf } from '#kube-machinery/label-selector.ts';
import { type ControllerContext, createWorker, orNotFound } from '../controller.ts';
import { compareText } from '../pods/pod-state.ts';

interface ClusterRole extends ApiObject {
  readonly rules?: readonly unknown[];
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly LabelSelector[] };
}

const clusterRoles: ResourceRef = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  resource: 'clusterroles',
  namespaced: false,
  kind: 'ClusterRole',
};

export function startClusterRoleAggregation(context: ControllerContext): { run(): void } {
  const { informers, client } = context;
  const informer = informers.informer<ClusterRole>(clusterRoles);
  const worker = createWorker(context, sync);
  // Any role may be part of any other.
  const changed = () => {
    for (const role of informer.list()) if (role.aggregationRule !== undefined) worker.queue.add(role.metadata.name);
  };
  informer.addHandlers({ added: changed, updated: changed, deleted: changed });
  return worker;

  async function sync(name: string): Promise<void> {
    const role = informer.get(name);
    if (role?.aggregationRule === undefined) return;
    const rules = aggregatedRules(role, informer.list());
    if (equal(rules, role.rules ?? [])) return;
    await orNotFound(
      client
        .withCause(`cluster role ${name} aggregates others`)
        .resource<ClusterRole>(clusterRoles)
        .update({ ...role, rules }),
    );
  }
}

/** Each rule once, in the order of the roles' names. */
function aggregatedRules({ metadata, aggregationRule }: ClusterRole, roles: readonly ClusterRole[]): unknown[] {
  const sorted = [...roles].sort((a, b) => compareText(a.metadata.name, b.metadata.name));
  const rules: unknown[] = [];
  for (const selector of aggregationRule?.clusterRoleSelectors ?? [])
    for (const role of sorted) {
      if (role.metadata.name === metadata.name || !matches(selectorOf(selector)!, role.metadata.labels ?? {})) continue;
      for (const rule of role.rules ?? []) if (!rules.some((known) => equal(known, rule))) rules.push(rule);
    }
  return rules;
}
