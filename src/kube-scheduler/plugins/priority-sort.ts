/** Higher priority first, then first come, first served. */
import type { Plugin } from '../framework.ts';

export const prioritySort: Plugin = {
  name: 'PrioritySort',
  less: (a, b) => {
    const difference = (b.pod.spec.priority ?? 0) - (a.pod.spec.priority ?? 0);
    return difference === 0 ? a.sinceMs < b.sinceMs : difference < 0;
  },
};
