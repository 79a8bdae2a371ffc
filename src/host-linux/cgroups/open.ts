/** The cgroup manager for this machine. */
import { type CgroupLayout, readCgroupLayout } from './detect.ts';
import type { CgroupManager } from './manager.ts';
import { CgroupManagerV1 } from './v1/manager.ts';
import { CgroupManagerV2 } from './v2/manager.ts';

/** v1 as soon as one resource controller is mounted there, as in a hybrid machine; else v2. Throws when there is neither. */
export function openCgroups(layout: CgroupLayout = readCgroupLayout()): CgroupManager {
  if (Object.keys(layout.v1).some((controller) => controller !== 'systemd')) return new CgroupManagerV1(layout);
  if (layout.v2 !== undefined) return new CgroupManagerV2(layout.v2);
  throw new Error('no cgroup hierarchy is mounted; containers need one at /sys/fs/cgroup');
}
