/** Pods that want to be near others, or away from them: what is required filters, what is preferred scores. */
import type { Pod } from '#kube-client/types/core.ts';
import { type Plugin, type Prepared, reject, rejectForGood, type ScoreContext, scoreMax } from '../framework.ts';
import type { NodeInfo, PodInfo } from '../node-info.ts';
import { type AffinityTerm, termMatches } from '../pod-affinity.ts';

/** What a required affinity of a pod that runs already counts for one that would satisfy it. */
const hardAffinityWeight = 1;

/** Sums by topology: key, then the node's value of it. */
class TopologyCounts {
  readonly #counts = new Map<string, Map<string, number>>();

  get empty(): boolean {
    return this.#counts.size === 0;
  }

  add({ topologyKey }: AffinityTerm, node: NodeInfo, by: number): void {
    const value = node.node.metadata.labels?.[topologyKey];
    if (value === undefined) return;
    let values = this.#counts.get(topologyKey);
    if (values === undefined) {
      values = new Map();
      this.#counts.set(topologyKey, values);
    }
    values.set(value, (values.get(value) ?? 0) + by);
  }

  get(topologyKey: string, node: NodeInfo): number {
    const value = node.node.metadata.labels?.[topologyKey];
    return value === undefined ? 0 : (this.#counts.get(topologyKey)?.get(value) ?? 0);
  }

  /** Over all keys. */
  total(node: NodeInfo): number {
    let sum = 0;
    for (const key of this.#counts.keys()) sum += this.get(key, node);
    return sum;
  }

  any(node: NodeInfo): boolean {
    for (const key of this.#counts.keys()) if (this.get(key, node) > 0) return true;
    return false;
  }
}

export const interPodAffinity: Plugin = {
  name: 'InterPodAffinity',
  weight: 2,
  prepare(info, nodes, context) {
    if (info.affinity === undefined && nodes.every(({ podsWithAffinity }) => podsWithAffinity.size === 0))
      return undefined;
    return { ...filtering(info, nodes, context), ...scoring(info, nodes, context) };
  },
  helps: (change) => change.kind !== 'NodeUpdated' || change.before.metadata.labels !== change.after.metadata.labels,
};

function filtering(info: PodInfo, nodes: readonly NodeInfo[], context: ScoreContext): Prepared {
  const { required = [], requiredAnti = [] } = info.affinity ?? {};
  const existingAnti = new TopologyCounts();
  const affinity = new TopologyCounts();
  const anti = new TopologyCounts();
  const labelsOf = ({ metadata }: Pod) => context.namespaceLabels(metadata.namespace ?? '');
  const ownLabels = labelsOf(info.pod);
  for (const node of nodes) {
    for (const { affinity: terms } of node.podsWithAffinity.values())
      for (const term of terms!.requiredAnti)
        if (termMatches(term, info.pod, ownLabels)) existingAnti.add(term, node, 1);
    if (required.length === 0 && requiredAnti.length === 0) continue;
    for (const { pod } of node.pods.values()) {
      const labels = labelsOf(pod);
      if (required.length > 0 && required.every((term) => termMatches(term, pod, labels)))
        for (const term of required) affinity.add(term, node, 1);
      for (const term of requiredAnti) if (termMatches(term, pod, labels)) anti.add(term, node, 1);
    }
  }
  // The first of a group that wants to be together has nobody to join.
  const first = affinity.empty && required.every((term) => termMatches(term, info.pod, ownLabels));
  return {
    filter(node) {
      for (const { topologyKey } of required) {
        const labelled = node.node.metadata.labels?.[topologyKey] !== undefined;
        if (!labelled || (!first && affinity.get(topologyKey, node) === 0))
          return rejectForGood("node(s) didn't match pod affinity rules");
      }
      if (requiredAnti.some(({ topologyKey }) => anti.get(topologyKey, node) > 0))
        return reject("node(s) didn't match pod anti-affinity rules");
      if (existingAnti.any(node)) return reject("node(s) didn't satisfy existing pods anti-affinity rules");
      return undefined;
    },
  };
}

function scoring(info: PodInfo, nodes: readonly NodeInfo[], context: ScoreContext): Prepared {
  const { preferred = [], preferredAnti = [] } = info.affinity ?? {};
  const own = preferred.length > 0 || preferredAnti.length > 0;
  return {
    scoreAll(feasible) {
      const counts = new TopologyCounts();
      const ownLabels = context.namespaceLabels(info.pod.metadata.namespace ?? '');
      for (const node of nodes) {
        if (own)
          for (const { pod } of node.pods.values()) {
            const labels = context.namespaceLabels(pod.metadata.namespace ?? '');
            for (const { weight, term } of preferred)
              if (termMatches(term, pod, labels)) counts.add(term, node, weight);
            for (const { weight, term } of preferredAnti)
              if (termMatches(term, pod, labels)) counts.add(term, node, -weight);
          }
        for (const { affinity } of node.podsWithAffinity.values()) {
          for (const term of affinity!.required)
            if (termMatches(term, info.pod, ownLabels)) counts.add(term, node, hardAffinityWeight);
          for (const { weight, term } of affinity!.preferred)
            if (termMatches(term, info.pod, ownLabels)) counts.add(term, node, weight);
          for (const { weight, term } of affinity!.preferredAnti)
            if (termMatches(term, info.pod, ownLabels)) counts.add(term, node, -weight);
        }
      }
      const sums = feasible.map((node) => counts.total(node));
      const min = Math.min(...sums);
      const range = Math.max(...sums) - min;
      return sums.map((sum) => (range === 0 ? 0 : Math.floor((scoreMax * (sum - min)) / range)));
    },
  };
}
