/** cgroup v1 `cpu`. Kernel: Documentation/scheduler/sched-bwc.rst, sched-design-CFS.rst. */
import type { ControllerPlan } from '../setting.ts';

export const planCpu: ControllerPlan = ({ cpu }) => {
  if (cpu === undefined) return [];
  const settings = [];
  if (cpu.shares) settings.push({ file: 'cpu.shares', value: String(cpu.shares) });
  if (cpu.realtimePeriod) settings.push({ file: 'cpu.rt_period_us', value: String(cpu.realtimePeriod) });
  if (cpu.realtimeRuntime) settings.push({ file: 'cpu.rt_runtime_us', value: String(cpu.realtimeRuntime) });
  // A burst may not exceed the quota: it is lowered before, raised after. The first write is for the one, the last for the other.
  if (cpu.burst !== undefined) settings.push({ file: 'cpu.cfs_burst_us', value: String(cpu.burst), soft: true });
  // The ratio must be possible after each write: when the new period does not suit the old quota, it does after the new quota.
  if (cpu.period && cpu.quota) settings.push({ file: 'cpu.cfs_period_us', value: String(cpu.period), soft: true });
  if (cpu.quota) settings.push({ file: 'cpu.cfs_quota_us', value: String(cpu.quota) });
  if (cpu.period) settings.push({ file: 'cpu.cfs_period_us', value: String(cpu.period) });
  if (cpu.burst !== undefined) settings.push({ file: 'cpu.cfs_burst_us', value: String(cpu.burst) });
  if (cpu.idle !== undefined) settings.push({ file: 'cpu.idle', value: String(cpu.idle) });
  return settings;
};
