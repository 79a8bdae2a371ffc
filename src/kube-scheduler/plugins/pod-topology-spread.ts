/** Spreads the pods of a set over domains: zones, hosts. What must hold filters, what is wished for scores. */
import type { TopologySpreadConstraint } from '#kube-client/types/core.ts';
import { matches, type Selector, selectorOf } from '#kube-machinery/label-selector.ts';
import { type Plugin, type Prepared, reject, rejectForGood, scoreMax } from '../framework.ts';
import type { NodeInfo, PodInfo } from '../node-info.ts';
import { matchesRequiredAffinity, untoleratedTaint } from '../node-selector.ts';

interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly selector: Selector | undefined;
  readonly honorAffinity: boolean;
  readonly honorTaints: boolean;
}

export const podTopologySpread: Plugin = {
  name: 'PodTopologySpread',
  weight: 2,
  prepare(info, nodes) {
    const constraints = info.pod.spec.topologySpreadConstraints ?? [];
    if (constraints.length === 0) return undefined;
    const parse = (when: string) =>
      constraints.filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when).map((each) => parsed(each, info));
    const hard = parse('DoNotSchedule');
    const soft = parse('ScheduleAnyway');
    return {
      ...(hard.length > 0 && filtering(info, nodes, hard)),
      ...(soft.length > 0 && scoring(info, nodes, soft)),
    };
  },
};

function parsed(constraint: TopologySpreadConstraint, { pod }: PodInfo): Constraint {
  const { topologyKey, maxSkew, minDomains = 1, labelSelector, matchLabelKeys = [] } = constraint;
  const base = selectorOf(labelSelector);
  const labels = pod.metadata.labels ?? {};
  const more = matchLabelKeys
    .filter((key) => labels[key] !== undefined && !base?.some((requirement) => requirement.key === key))
    .map((key) => ({ key, operator: 'In' as const, values: [labels[key]!] }));
  return {
    topologyKey,
    maxSkew,
    minDomains,
    selector: base && [...base, ...more],
    honorAffinity: constraint.nodeAffinityPolicy !== 'Ignore',
    honorTaints: constraint.nodeTaintsPolicy === 'Honor',
  };
}

const domainOf = ({ node }: NodeInfo, key: string) => node.metadata.labels?.[key];

/** Does a node count as part of its domain for this pod? */
function counts({ honorAffinity, honorTaints }: Constraint, { pod }: PodInfo, { node }: NodeInfo): boolean {
  if (honorAffinity && !matchesRequiredAffinity(pod, node)) return false;
  return !honorTaints || untoleratedTaint(pod, node, ['NoSchedule', 'NoExecute']) === undefined;
}

function matching({ selector }: Constraint, { pod }: PodInfo, { pods }: NodeInfo): number {
  if (selector === undefined) return 0;
  let count = 0;
  for (const { pod: other } of pods.values())
    if (
      other.metadata.namespace === pod.metadata.namespace &&
      other.metadata.deletionTimestamp === undefined &&
      matches(selector, other.metadata.labels ?? {})
    )
      count++;
  return count;
}

/** Pods by domain, over the nodes that have every constraint's label. */
function domains(constraints: readonly Constraint[], info: PodInfo, nodes: readonly NodeInfo[]): Map<string, number>[] {
  const byConstraint = constraints.map(() => new Map<string, number>());
  for (const node of nodes) {
    if (!constraints.every(({ topologyKey }) => domainOf(node, topologyKey) !== undefined)) continue;
    for (const [i, constraint] of constraints.entries()) {
      if (!counts(constraint, info, node)) continue;
      const value = domainOf(node, constraint.topologyKey)!;
      byConstraint[i]!.set(value, (byConstraint[i]!.get(value) ?? 0) + matching(constraint, info, node));
    }
  }
  return byConstraint;
}

function filtering(info: PodInfo, nodes: readonly NodeInfo[], constraints: readonly Constraint[]): Prepared {
  const byConstraint = domains(constraints, info, nodes);
  const least = constraints.map(({ minDomains }, i) =>
    byConstraint[i]!.size < minDomains ? 0 : Math.min(...byConstraint[i]!.values()),
  );
  const self = constraints.map(({ selector }) =>
    selector !== undefined && matches(selector, info.pod.metadata.labels ?? {}) ? 1 : 0,
  );
  return {
    filter(node) {
      for (const [i, { topologyKey, maxSkew }] of constraints.entries()) {
        const value = domainOf(node, topologyKey);
        if (value === undefined)
          return rejectForGood("node(s) didn't match pod topology spread constraints (missing required label)");
        const skew = (byConstraint[i]!.get(value) ?? 0) + self[i]! - (Number.isFinite(least[i]!) ? least[i]! : 0);
        if (skew > maxSkew) return reject("node(s) didn't match pod topology spread constraints");
      }
      return undefined;
    },
  };
}

function scoring(info: PodInfo, nodes: readonly NodeInfo[], constraints: readonly Constraint[]): Prepared {
  return {
    scoreAll(feasible) {
      const labelled = feasible.map((node) =>
        constraints.every(({ topologyKey }) => domainOf(node, topologyKey) !== undefined),
      );
      const byConstraint = domains(constraints, info, nodes);
      // More domains: each pod in one of them weighs more.
      const weights = constraints.map(({ topologyKey }) => {
        const values = new Set(feasible.filter((_, i) => labelled[i]).map((node) => domainOf(node, topologyKey)));
        return Math.log(values.size + 2);
      });
      const raw = feasible.map((node, i) => {
        if (!labelled[i]) return undefined;
        let sum = 0;
        for (const [j, { topologyKey, maxSkew }] of constraints.entries())
          sum += (byConstraint[j]!.get(domainOf(node, topologyKey)!) ?? 0) * weights[j]! + (maxSkew - 1);
        return Math.round(sum);
      });
      const known = raw.filter((sum) => sum !== undefined);
      const max = Math.max(0, ...known);
      const min = Math.min(...known);
      return raw.map((sum) =>
        sum === undefined ? 0 : max === 0 ? scoreMax : Math.floor((scoreMax * (max + min - sum)) / max),
      );
    },
  };
}
