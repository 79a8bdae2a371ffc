/** Which cgroup hierarchies this machine has mounted, and where we ourselves are in them. cgroups(7), proc_pid_mountinfo(5). */
import { readFileSync } from 'node:fs';
import { normalize } from 'node:path';

export interface CgroupHierarchy {
  readonly mountPoint: string;
  /** The part of the hierarchy that is mounted: '/' unless we are in a container ourselves. */
  readonly root: string;
  /** Our own cgroup, from the hierarchy's root. */
  readonly own: string;
}

export interface CgroupLayout {
  /** v1 hierarchies by controller; `name=systemd` under `systemd`. Empty on a pure v2 machine. */
  readonly v1: Readonly<Record<string, CgroupHierarchy>>;
  readonly v2?: CgroupHierarchy;
}

/** Reads the layout. The texts are /proc/self/mountinfo and /proc/self/cgroup. */
export function parseCgroupLayout(mountinfo: string, own: string): CgroupLayout {
  const ownPaths = new Map<string, string>();
  for (const line of own.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined) continue;
    for (const controller of controllers.split(',')) ownPaths.set(controller, path!);
  }
  const v1: Record<string, CgroupHierarchy> = {};
  let v2: CgroupHierarchy | undefined;
  for (const line of mountinfo.split('\n')) {
    const separator = line.indexOf(' - ');
    if (separator < 0) continue;
    const [, , , root, mountPoint] = line.slice(0, separator).split(' ');
    const [type, , options = ''] = line.slice(separator + 3).split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    const place = { mountPoint: unescapeOctal(mountPoint!), root: unescapeOctal(root!) };
    if (type === 'cgroup2') v2 ??= { ...place, own: ownPaths.get('') ?? '/' };
    else
      for (const option of options.split(',')) {
        const path = ownPaths.get(option);
        const name = option.startsWith('name=') ? option.slice(5) : option;
        if (path !== undefined) v1[name] ??= { ...place, own: path };
      }
  }
  return v2 === undefined ? { v1 } : { v1, v2 };
}

export function readCgroupLayout(): CgroupLayout {
  return parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
}

/** A cgroupsPath without '.', '..' and doubled slashes; '..' never leaves the root. */
export function cleanCgroupPath(path: string): string {
  return path.startsWith('/') ? normalize(path) : normalize(`/${path}`).slice(1);
}

/** mountinfo writes space, tab, newline and backslash as \ooo. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
