/** What taking other pods away would do for a pod that no node fits. Pure. */
import type { ClusterCache } from './cluster-cache.ts';
import type { PodInfo } from './node-info.ts';
import { type Decision, histogram } from './schedule.ts';

/**
 * The part of the message that upstream's DynamicResources and DefaultPreemption add after their turn. Empty when there are pods of
 * lower priority that could go: preemption itself is not built yet, and saying that it does not help would be untrue.
 */
export function preemptionMessage(
  { pod }: PodInfo,
  { rejections, nodesTotal }: Extract<Decision, { kind: 'Unschedulable' }>,
  cache: ClusterCache,
): string {
  const claims = 'no new claims to deallocate';
  if (pod.spec.preemptionPolicy === 'Never') return `${claims}, preemption: not eligible due to preemptionPolicy=Never`;
  const priority = pod.spec.priority ?? 0;
  const reasons: string[] = [];
  for (const { node, unresolvable } of rejections) {
    if (unresolvable) {
      reasons.push('Preemption is not helpful for scheduling');
      continue;
    }
    for (const { pod: other } of cache.node(node)?.pods.values() ?? [])
      if ((other.spec.priority ?? 0) < priority) return '';
    reasons.push('No preemption victims found for incoming pod');
  }
  return `${claims}, preemption: 0/${nodesTotal} nodes are available: ${histogram(reasons)}`;
}
