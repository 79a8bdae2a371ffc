/** A pod with scheduling gates waits until somebody takes the last one away. */
import { type Plugin, rejectForGood } from '../framework.ts';

export const schedulingGates: Plugin = {
  name: 'SchedulingGates',
  preEnqueue: ({ spec }) =>
    (spec.schedulingGates ?? []).length === 0
      ? undefined
      : rejectForGood(`waiting for scheduling gates: [${spec.schedulingGates!.map(({ name }) => name).join(' ')}]`),
};
