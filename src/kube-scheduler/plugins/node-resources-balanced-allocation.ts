/** Prefers nodes whose CPU and memory would be used to a like degree. */
import { type Plugin, scoreMax } from '../framework.ts';

export const nodeResourcesBalancedAllocation: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  // A pod that asks for nothing changes no balance.
  wantsScore: ({ requests }) => (requests.get('cpu') ?? 0) > 0 || (requests.get('memory') ?? 0) > 0,
  score({ requests }, node) {
    const fractions = ['cpu', 'memory']
      .filter((resource) => (node.allocatable.get(resource) ?? 0) > 0)
      .map((resource) => {
        const requested = (node.requested.get(resource) ?? 0) + (requests.get(resource) ?? 0);
        return Math.min(1, requested / node.allocatable.get(resource)!);
      });
    const deviation = fractions.length === 2 ? Math.abs((fractions[0]! - fractions[1]!) / 2) : 0;
    return Math.floor((1 - deviation) * scoreMax);
  },
};
