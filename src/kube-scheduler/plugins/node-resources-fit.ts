/** Is there enough of everything left, and how much will be left: emptier nodes score higher (LeastAllocated). */
import { type Plugin, scoreMax } from '../framework.ts';
import { amountsOf, type NodeInfo, type PodInfo } from '../node-info.ts';

export const nodeResourcesFit: Plugin = {
  name: 'NodeResourcesFit',
  weight: 1,
  filter(info, node) {
    const reasons: string[] = [];
    let unresolvable = false;
    if (node.pods.size + 1 > (node.allocatable.get('pods') ?? 0)) reasons.push('Too many pods');
    for (const [resource, wanted] of info.requests) {
      if (wanted === 0) continue;
      const allocatable = node.allocatable.get(resource) ?? 0;
      if (wanted <= allocatable - (node.requested.get(resource) ?? 0)) continue;
      reasons.push(`Insufficient ${resource}`);
      // Not even an empty node would do.
      if (wanted > allocatable) unresolvable = true;
    }
    return reasons.length === 0 ? undefined : { reasons, unresolvable };
  },
  score(info, node) {
    let sum = 0;
    let weights = 0;
    for (const resource of ['cpu', 'memory'] as const) {
      const allocatable = node.allocatable.get(resource) ?? 0;
      if (allocatable === 0) continue;
      const requested = node.nonZero[resource] + info.nonZero[resource];
      sum += requested > allocatable ? 0 : Math.floor(((allocatable - requested) * scoreMax) / allocatable);
      weights++;
    }
    return weights === 0 ? 0 : Math.floor(sum / weights);
  },
  helps(change, info) {
    switch (change.kind) {
      case 'AssignedPodAdded':
        return false;
      case 'AssignedPodDeleted':
        return true;
      case 'NodeAdded':
        return couldFit(info, amountsOf(change.node.status?.allocatable));
      case 'NodeUpdated': {
        const before = amountsOf(change.before.status?.allocatable);
        const after = amountsOf(change.after.status?.allocatable);
        return couldFit(info, after) && Array.from(after).some(([name, amount]) => amount > (before.get(name) ?? 0));
      }
    }
  },
};

function couldFit({ requests }: PodInfo, allocatable: NodeInfo['allocatable']): boolean {
  for (const [resource, wanted] of requests) if (wanted > (allocatable.get(resource) ?? 0)) return false;
  return true;
}
