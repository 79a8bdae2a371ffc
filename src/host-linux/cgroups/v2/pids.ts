/** cgroup v2 `pids`. */
import type { ControllerPlan } from '../setting.ts';

export const planPids: ControllerPlan = ({ pids }) =>
  pids === undefined ? [] : [{ file: 'pids.max', value: pids.limit < 0 ? 'max' : String(pids.limit) }];
