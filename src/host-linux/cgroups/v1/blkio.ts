/** cgroup v1 `blkio`. Kernel: Documentation/admin-guide/cgroup-v1/blkio-controller.rst. */
import type { ControllerPlan, Setting } from '../setting.ts';

export const planBlkio: ControllerPlan = ({ blockIO }) => {
  if (blockIO === undefined) return [];
  const settings: Setting[] = [];
  // Weights exist only where a scheduler with weights does; the file's name tells which.
  if (blockIO.weight) settings.push({ file: 'blkio.bfq.weight', value: String(blockIO.weight), soft: true });
  if (blockIO.weight) settings.push({ file: 'blkio.weight', value: String(blockIO.weight), soft: true });
  if (blockIO.leafWeight) settings.push({ file: 'blkio.leaf_weight', value: String(blockIO.leafWeight), soft: true });
  for (const device of blockIO.weightDevice ?? []) {
    if (device.weight)
      settings.push({ file: 'blkio.bfq.weight_device', value: `${device.major}:${device.minor} ${device.weight}` });
    if (device.leafWeight)
      settings.push({
        file: 'blkio.leaf_weight_device',
        value: `${device.major}:${device.minor} ${device.leafWeight}`,
      });
  }
  const throttles = [
    ['blkio.throttle.read_bps_device', blockIO.throttleReadBpsDevice],
    ['blkio.throttle.write_bps_device', blockIO.throttleWriteBpsDevice],
    ['blkio.throttle.read_iops_device', blockIO.throttleReadIOPSDevice],
    ['blkio.throttle.write_iops_device', blockIO.throttleWriteIOPSDevice],
  ] as const;
  for (const [file, devices] of throttles)
    for (const { major, minor, rate } of devices ?? []) settings.push({ file, value: `${major}:${minor} ${rate}` });
  return settings;
};
