/** cgroup v2 `cpuset`. */
import type { ControllerPlan, Setting } from '../setting.ts';

export const planCpuset: ControllerPlan = ({ cpu }) => {
  const settings: Setting[] = [];
  if (cpu?.cpus) settings.push({ file: 'cpuset.cpus', value: cpu.cpus });
  if (cpu?.mems) settings.push({ file: 'cpuset.mems', value: cpu.mems });
  return settings;
};
