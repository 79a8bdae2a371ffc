/** cgroup v1 `net_cls` and `net_prio`. */
import type { ControllerPlan } from '../setting.ts';

export const planNetCls: ControllerPlan = ({ network }) =>
  network?.classID ? [{ file: 'net_cls.classid', value: String(network.classID) }] : [];

export const planNetPrio: ControllerPlan = ({ network }) =>
  (network?.priorities ?? []).map(({ name, priority }) => ({
    file: 'net_prio.ifpriomap',
    value: `${name} ${priority}`,
  }));
