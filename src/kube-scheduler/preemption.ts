/**
 * Preemption: which pods of lower priority would have to go for a pod that no node fits, on which node, and what is said when that
 * does not help. Pure; upstream's DefaultPreemption in duty and words. Disruption budgets are not looked at yet.
 */
import { parseTime } from '#kube-client/time.ts';
import type { Pod } from '#kube-client/types/core.ts';
import type { ClusterCache } from './cluster-cache.ts';
import type { Plugin } from './framework.ts';
import type { NodeInfo, PodInfo } from './node-info.ts';
import { type Decision, filterNode, histogram, prepare } from './schedule.ts';

export interface Preemption {
  readonly node: string;
  readonly victims: readonly PodInfo[];
}

/** Nodes that are tried out for one pod. */
export const candidatesMax = 100;

export function preempt(
  info: PodInfo,
  { rejections, nodesTotal }: Extract<Decision, { kind: 'Unschedulable' }>,
  cache: ClusterCache,
  plugins: readonly Plugin[],
): Preemption | { readonly message: string } {
  // DynamicResources has its turn before: a pod without claims has none to give back.
  const say = (text: string) => ({ message: `no new claims to deallocate, preemption: ${text}` });
  const { pod } = info;
  if (pod.spec.preemptionPolicy === 'Never') return say('not eligible due to preemptionPolicy=Never');
  const nominated = cache.node(pod.status?.nominatedNodeName ?? '');
  if (nominated !== undefined && hasTerminatingBelow(nominated, priorityOf(pod)))
    return say('not eligible due to a terminating pod on the nominated node');
  const reasons: string[] = [];
  const candidates: Preemption[] = [];
  for (const { node: name, unresolvable } of rejections) {
    const node = cache.node(name);
    if (unresolvable || node === undefined) reasons.push('Preemption is not helpful for scheduling');
    else if (candidates.length < candidatesMax) {
      const outcome = victimsOn(info, node, cache, plugins);
      if ('victims' in outcome) candidates.push(outcome);
      else reasons.push(...outcome.reasons);
    }
  }
  if (candidates.length === 0) return say(`0/${nodesTotal} nodes are available: ${histogram(reasons)}`);
  return candidates.reduce((best, candidate) => (isBetter(candidate, best) ? candidate : best));
}

/** As few victims as will do: all below the pod's priority go, and come back one by one while the pod still fits. */
function victimsOn(
  info: PodInfo,
  node: NodeInfo,
  cache: ClusterCache,
  plugins: readonly Plugin[],
): Preemption | { readonly reasons: readonly string[] } {
  const priority = priorityOf(info.pod);
  const lower = [...node.pods.values()].filter(({ pod }) => priorityOf(pod) < priority).sort(byImportance);
  if (lower.length === 0) return { reasons: ['No preemption victims found for incoming pod'] };
  const tried = cache.withNominated(node, info).clone();
  const nodes = cache.nodes.map((each) => (each === node ? tried : each));
  const rejection = () => filterNode(prepare(plugins, info, nodes, cache), tried);
  for (const { key } of lower) tried.removePod(key);
  const hopeless = rejection();
  if (hopeless !== undefined) return { reasons: hopeless.reasons };
  const victims: PodInfo[] = [];
  for (const candidate of lower) {
    tried.addPod(candidate);
    if (rejection() === undefined) continue;
    tried.removePod(candidate.key);
    victims.push(candidate);
  }
  return { node: node.name, victims };
}

/** Less is lost: the lowest of the highest priorities, then of their sums, then the fewest, then the youngest. */
function isBetter(a: Preemption, b: Preemption): boolean {
  const highest = ({ victims }: Preemption) => Math.max(...victims.map(({ pod }) => priorityOf(pod)));
  const sum = ({ victims }: Preemption) => victims.reduce((total, { pod }) => total + priorityOf(pod), 0);
  const oldest = (preemption: Preemption) => {
    const top = highest(preemption);
    return Math.min(...preemption.victims.filter(({ pod }) => priorityOf(pod) === top).map(({ pod }) => startMs(pod)));
  };
  const order =
    highest(a) - highest(b) || sum(a) - sum(b) || a.victims.length - b.victims.length || oldest(b) - oldest(a);
  return order < 0;
}

/** The most important first: they are the first to be spared. */
function byImportance(a: PodInfo, b: PodInfo): number {
  return priorityOf(b.pod) - priorityOf(a.pod) || startMs(a.pod) - startMs(b.pod);
}

function hasTerminatingBelow(node: NodeInfo, priority: number): boolean {
  for (const { pod } of node.pods.values())
    if (pod.metadata.deletionTimestamp !== undefined && priorityOf(pod) < priority) return true;
  return false;
}

const priorityOf = ({ spec }: Pod): number => spec.priority ?? 0;

function startMs({ status, metadata }: Pod): number {
  return parseTime(status?.startTime) || parseTime(metadata.creationTimestamp) || 0;
}
