/** Taints keep pods off nodes that they do not tolerate; those that only ask to be avoided count against the node. */
import { normalizeScores, type Plugin, rejectForGood } from '../framework.ts';
import { tolerates, untoleratedTaint } from '../node-selector.ts';

export const taintToleration: Plugin = {
  name: 'TaintToleration',
  weight: 3,
  filter: ({ pod }, { node }) =>
    untoleratedTaint(pod, node, ['NoSchedule', 'NoExecute']) === undefined
      ? undefined
      : rejectForGood('node(s) had untolerated taint(s)'),
  score({ pod }, { node }) {
    const tolerations = (pod.spec.tolerations ?? []).filter(
      ({ effect = '' }) => effect === '' || effect === 'PreferNoSchedule',
    );
    return (node.spec?.taints ?? []).filter(
      (taint) => taint.effect === 'PreferNoSchedule' && !tolerations.some((toleration) => tolerates(toleration, taint)),
    ).length;
  },
  normalize: (scores) => normalizeScores(scores, true),
  helps: (change, { pod }) =>
    (change.kind === 'NodeAdded' || change.kind === 'NodeUpdated') &&
    untoleratedTaint(pod, change.kind === 'NodeAdded' ? change.node : change.after, ['NoSchedule', 'NoExecute']) ===
      undefined,
};
