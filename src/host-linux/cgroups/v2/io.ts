/** cgroup v2 `io`. */
import type { ControllerPlan, Setting } from '../setting.ts';

export const planIo: ControllerPlan = ({ blockIO }) => {
  if (blockIO === undefined) return [];
  const settings: Setting[] = [];
  if (blockIO.weight) {
    // Only the file of the scheduler in use exists; the two have different ranges (10 to 1000, 1 to 10000).
    settings.push({ file: 'io.bfq.weight', value: String(blockIO.weight), soft: true });
    settings.push({ file: 'io.weight', value: String(ioWeight(blockIO.weight)), soft: true });
  }
  for (const { major, minor, weight } of blockIO.weightDevice ?? [])
    if (weight) settings.push({ file: 'io.bfq.weight', value: `${major}:${minor} ${weight}` });
  const limits = [
    ['rbps', blockIO.throttleReadBpsDevice],
    ['wbps', blockIO.throttleWriteBpsDevice],
    ['riops', blockIO.throttleReadIOPSDevice],
    ['wiops', blockIO.throttleWriteIOPSDevice],
  ] as const;
  for (const [key, devices] of limits)
    for (const { major, minor, rate } of devices ?? [])
      settings.push({ file: 'io.max', value: `${major}:${minor} ${key}=${rate === 0 ? 'max' : rate}` });
  return settings;
};

/** v1 block weights (10 to 1000) on v2's scale (1 to 10000). */
export function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}
