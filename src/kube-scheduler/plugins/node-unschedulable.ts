/** Keeps pods off cordoned nodes, unless they tolerate the taint that says so. */
import { type Plugin, rejectForGood } from '../framework.ts';
import { tolerates } from '../node-selector.ts';

const taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  filter: ({ pod }, { node }) =>
    node.spec?.unschedulable !== true || pod.spec.tolerations?.some((toleration) => tolerates(toleration, taint))
      ? undefined
      : rejectForGood('node(s) were unschedulable'),
  helps: (change) =>
    change.kind === 'NodeAdded'
      ? change.node.spec?.unschedulable !== true
      : change.kind === 'NodeUpdated' &&
        change.before.spec?.unschedulable === true &&
        !change.after.spec?.unschedulable,
};
