/**
 * What a container platform can leave behind in this machine's kernel: mounts, cgroups, processes, links, rules, pinned namespaces. Taken before
 * and after, and compared: a test that ends with another inventory than it began with has leaked. Reads procfs and sysfs only.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseMountPoints } from '#host-linux/mount-table.ts';

export interface Inventory {
  /** Mount points, sorted; one mounted over twice stands twice. */
  readonly mounts: readonly string[];
  /** cgroup folders, by their path under /sys/fs/cgroup. */
  readonly cgroups: readonly string[];
  /** `command line (pid)` of all processes but this one and kernel threads. */
  readonly processes: readonly string[];
  /** Network interfaces of this network namespace. */
  readonly links: readonly string[];
  /** IPv4 routes of this network namespace, as /proc/net/route has them. */
  readonly routes: readonly string[];
  /** Network namespaces that processes are in. */
  readonly networkNamespaces: readonly string[];
}

export interface InventoryOptions {
  /**
   * On a machine with other programs that come and go: counts only the processes and cgroups for which this is true of their text, a process's command line
   * with its cgroups, or a cgroup's path. By default all.
   */
  readonly only?: (text: string) => boolean;
}

/** Reads it all. */
export function takeInventory({ only = () => true }: InventoryOptions = {}): Inventory {
  const processes: string[] = [];
  const namespaces = new Set<string>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const commandLine = readProcess(`/proc/${name}/cmdline`)?.replaceAll('\0', ' ').trim() ?? '';
    const cgroups = readProcess(`/proc/${name}/cgroup`) ?? '';
    if (commandLine === '' || !only(`${commandLine}\n${cgroups}`)) continue;
    processes.push(`${commandLine} (${name})`);
    const namespace = networkNamespace(name);
    if (namespace !== undefined) namespaces.add(namespace);
  }
  return {
    mounts: parseMountPoints(readFileSync('/proc/self/mountinfo', 'utf8')).sort(),
    cgroups: cgroupFolders('/sys/fs/cgroup').filter(only).sort(),
    processes: processes.sort(),
    links: readdirSync('/sys/class/net').sort(),
    routes: readFileSync('/proc/self/net/route', 'utf8').split('\n').slice(1).filter(Boolean).sort(),
    networkNamespaces: [...namespaces].sort(),
  };
}

/** undefined when it ended while we looked. */
function readProcess(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** undefined for a process that ended, or that we may not look into. */
function networkNamespace(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}

/**
 * Fails with what is there now and was not before. What goes away by itself, a process that is just ending, has `withinMs` to go. What was there before
 * and is gone is no leak.
 */
export async function assertInventory(
  before: Inventory,
  { withinMs = 2000, ...options }: InventoryOptions & { readonly withinMs?: number } = {},
): Promise<void> {
  for (let waited = 0; ; waited += 50) {
    const leaked = added(before, takeInventory(options));
    if (Object.values(leaked).every((list) => list.length === 0)) return;
    if (waited >= withinMs) assert.deepEqual(leaked, added(before, before), 'something is left behind');
    await sleep(50);
  }
}

/** What `after` has more than `before`. */
export function added(before: Inventory, after: Inventory): Record<keyof Inventory, string[]> {
  const more = (key: keyof Inventory): string[] => {
    const left = new Map<string, number>();
    for (const name of before[key]) left.set(name, (left.get(name) ?? 0) + 1);
    return after[key].filter((name) => {
      const count = left.get(name) ?? 0;
      left.set(name, count - 1);
      return count <= 0;
    });
  };
  return {
    mounts: more('mounts'),
    cgroups: more('cgroups'),
    processes: more('processes'),
    links: more('links'),
    routes: more('routes'),
    networkNamespaces: more('networkNamespaces'),
  };
}

function cgroupFolders(folder: string): string[] {
  const found: string[] = [];
  let entries: string[];
  try {
    entries = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  for (const name of entries) found.push(`${folder}/${name}`, ...cgroupFolders(`${folder}/${name}`));
  return found;
}
