/** `nodeSelector` and node affinity: what must match filters, what is preferred scores. */
import { normalizeScores, type Plugin, rejectForGood } from '../framework.ts';
import type { PodInfo } from '../node-info.ts';
import { matchesRequiredAffinity, matchesTerm } from '../node-selector.ts';

const preferredOf = ({ pod }: PodInfo) =>
  pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];

export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  weight: 2,
  wantsFilter: ({ pod }) =>
    pod.spec.nodeSelector !== undefined ||
    pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined,
  filter: ({ pod }, { node }) =>
    matchesRequiredAffinity(pod, node) ? undefined : rejectForGood("node(s) didn't match Pod's node affinity/selector"),
  wantsScore: (info) => preferredOf(info).length > 0,
  score: (info, { node }) =>
    preferredOf(info).reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0),
  normalize: (scores) => normalizeScores(scores, false),
  helps: (change, { pod }) =>
    (change.kind === 'NodeAdded' || change.kind === 'NodeUpdated') &&
    matchesRequiredAffinity(pod, change.kind === 'NodeAdded' ? change.node : change.after),
};
