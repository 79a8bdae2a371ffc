/** cgroup v2 `cpu`. Kernel: Documentation/admin-guide/cgroup-v2.rst. */
import type { ControllerPlan, Setting } from '../setting.ts';

export const planCpu: ControllerPlan = ({ cpu }) => {
  if (cpu === undefined) return [];
  const settings: Setting[] = [];
  if (cpu.idle !== undefined) settings.push({ file: 'cpu.idle', value: String(cpu.idle) });
  // An idle group has no weight.
  if (cpu.shares && cpu.idle !== 1) settings.push({ file: 'cpu.weight', value: String(weightOfShares(cpu.shares)) });
  if (cpu.burst !== undefined) settings.push({ file: 'cpu.max.burst', value: String(cpu.burst), soft: true });
  if (cpu.quota || cpu.period) {
    const quota = cpu.quota && cpu.quota > 0 ? String(cpu.quota) : 'max';
    settings.push({ file: 'cpu.max', value: `${quota} ${cpu.period || 100_000}` });
  }
  if (cpu.burst !== undefined) settings.push({ file: 'cpu.max.burst', value: String(cpu.burst) });
  return settings;
};

/**
 * v1 shares (2 to 262144) as a v2 weight (1 to 10000), on the curve that maps both ends and the default 1024 to 100, as the
 * container runtimes agreed (opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value).
 */
export function weightOfShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const log = Math.log2(shares);
  const exponent = (log * log + 125 * log) / 612 - 7 / 34;
  return Math.ceil(10 ** exponent);
}
