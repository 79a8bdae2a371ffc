/** Device nodes of the host: their kind and numbers, and a list of all of them. Errors are Node's own. */
import { readdirSync, statSync } from 'node:fs';

export interface DeviceNode {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Folders of /dev that every container has its own of. */
const ownInContainers = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.lxd-mounts', '.udev']);

/** The node a path leads to; undefined when it is no device. */
export function deviceAt(path: string): DeviceNode | undefined {
  const stat = statSync(path, { bigint: true });
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined;
  const { rdev } = stat;
  return {
    path,
    type: stat.isBlockDevice() ? 'b' : 'c',
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn)),
    mode: Number(stat.mode & 0o777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
  };
}

/** Every device under a folder, by default /dev, without what each container has its own of. */
export function listDevices(folder = '/dev'): DeviceNode[] {
  const devices: DeviceNode[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (ownInContainers.has(entry.name)) continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) devices.push(...listDevices(path));
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      const device = deviceAt(path);
      if (device !== undefined) devices.push(device);
    }
  }
  return devices;
}
