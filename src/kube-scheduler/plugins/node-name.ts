/** A pod that names its node goes nowhere else. */
import { type Plugin, rejectForGood } from '../framework.ts';

export const nodeName: Plugin = {
  name: 'NodeName',
  wantsFilter: ({ pod }) => Boolean(pod.spec.nodeName),
  filter: ({ pod }, { name }) =>
    pod.spec.nodeName === name ? undefined : rejectForGood("node(s) didn't match the requested node name"),
  helps: (change) => change.kind === 'NodeAdded',
};
