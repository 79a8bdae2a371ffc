/** cgroups v1: one folder in every mounted hierarchy. */
import { join, relative } from 'node:path';
import { Op } from '../../helper/op-codes.ts';
import { errnoText, type Plan } from '../../helper/plan.ts';
import { type CgroupHierarchy, type CgroupLayout, cleanCgroupPath } from '../detect.ts';
import { readPids, readText } from '../files.ts';
import type { CgroupFolders, CgroupManager, CgroupStats, CgroupView } from '../manager.ts';
import type { CgroupResources } from '../resources.ts';
import type { ControllerPlan, Setting } from '../setting.ts';
import { planBlkio } from './blkio.ts';
import { planCpu } from './cpu.ts';
import { planCpuset } from './cpuset.ts';
import { planDevices } from './devices.ts';
import { planHugetlb } from './hugetlb.ts';
import { planMemory } from './memory.ts';
import { planNetCls, planNetPrio } from './net.ts';
import { planPids } from './pids.ts';
import { readStats } from './stats.ts';

const controllers: Readonly<Record<string, ControllerPlan>> = {
  cpu: planCpu,
  cpuset: planCpuset,
  memory: planMemory,
  pids: planPids,
  devices: planDevices,
  blkio: planBlkio,
  hugetlb: planHugetlb,
  net_cls: planNetCls,
  net_prio: planNetPrio,
};

/** How long a cgroup may stay busy after its last process was reaped. */
const removeMs = 2000;

export class CgroupManagerV1 implements CgroupManager {
  readonly version = 1;
  readonly #hierarchies: Readonly<Record<string, CgroupHierarchy>>;

  constructor(layout: CgroupLayout) {
    // On a hybrid machine the unified hierarchy is left alone, as upstream leaves it.
    this.#hierarchies = layout.v1;
  }

  folders(cgroupsPath: string): CgroupFolders {
    const path = cleanCgroupPath(cgroupsPath);
    const folders: Record<string, string> = {};
    for (const [controller, { mountPoint, root, own }] of Object.entries(this.#hierarchies)) {
      // Inside a container the hierarchy is mounted from our own cgroup on.
      const ownHere = relative(root, own).startsWith('..') ? '' : relative(root, own);
      folders[controller] = path.startsWith('/') ? join(mountPoint, path) : join(mountPoint, ownHere, path);
    }
    return folders;
  }

  planCreate(plan: Plan, folders: CgroupFolders, resources: CgroupResources): void {
    const made = new Set<string>();
    for (const [controller, folder] of Object.entries(folders)) {
      const { mountPoint } = this.#hierarchies[controller]!;
      let parent = mountPoint;
      for (const part of relative(mountPoint, folder).split('/')) {
        const path = join(parent, part);
        // Two controllers of one hierarchy (cpu,cpuacct) share their folders.
        if (!made.has(path)) plan.mkdir(path);
        made.add(path);
        if (controller === 'cpuset')
          for (const file of ['cpuset.cpus', 'cpuset.mems']) planInherit(plan, parent, path, file);
        parent = path;
      }
      for (const setting of controllers[controller]?.(resources) ?? []) planSetting(plan, folder, setting);
    }
  }

  planJoin(plan: Plan, folders: CgroupFolders): void {
    for (const [controller, folder] of Object.entries(folders)) {
      // `tasks`, not `cgroup.procs`: one thread that moves itself waits for nobody, and a new process has one.
      const soft = controller === 'systemd';
      plan.write(
        join(folder, 'tasks'),
        '0',
        { soft },
        (failure) =>
          `unable to apply cgroup configuration: failed to write ${folder}/cgroup.procs: ${errnoText(failure.errno)}`,
      );
    }
  }

  cloneInto(): undefined {
    return undefined;
  }

  planUpdate(plan: Plan, folders: CgroupFolders, resources: CgroupResources): void {
    for (const [controller, folder] of Object.entries(folders)) {
      if (controller === 'devices' && resources.devices === undefined) continue;
      for (const setting of controllers[controller]?.(resources) ?? []) planSetting(plan, folder, setting);
    }
  }

  planFreeze(plan: Plan, folders: CgroupFolders, frozen: boolean): void {
    plan.write(join(this.#need(folders, 'freezer'), 'freezer.state'), frozen ? 'FROZEN' : 'THAWED');
  }

  async frozen(folders: CgroupFolders): Promise<boolean> {
    const freezer = folders['freezer'];
    return freezer !== undefined && (await readText(join(freezer, 'freezer.state')))?.trim() === 'FROZEN';
  }

  killFolder(folders: CgroupFolders): string {
    return folders['pids'] ?? folders['freezer'] ?? this.#need(folders, 'devices');
  }

  planKill(plan: Plan, folders: CgroupFolders, signal: number, limitMs: number): void {
    const folder = this.killFolder(folders);
    plan.op(
      Op.KILL_CGROUP,
      (failure) => `unable to kill processes of ${folder}: ${errnoText(failure.errno)}`,
      (fields) => fields.string(folder).u32(signal).u32(limitMs),
    );
  }

  planRemove(plan: Plan, folders: CgroupFolders): void {
    for (const folder of new Set(Object.values(folders)))
      plan.op(
        Op.RMDIR_TREE,
        (failure) => `unable to remove cgroup ${folder}: ${errnoText(failure.errno)}`,
        (fields) => fields.string(folder).u32(removeMs),
      );
  }

  view(folders: CgroupFolders, destination: string, options: readonly string[], ownNamespace: boolean): CgroupView {
    const kept = options.filter((option) => !/^r?(private|shared|slave|unbindable|bind)$/.test(option));
    const mounts: CgroupView['mounts'][number][] = [
      // What is read-only becomes so when all is mounted below it.
      { destination, type: 'tmpfs', source: 'tmpfs', options: [...kept, 'mode=755'] },
    ];
    const links: (readonly [string, string])[] = [];
    const seen = new Map<string, string>();
    for (const [controller, { mountPoint }] of Object.entries(this.#hierarchies)) {
      const name = mountPoint.slice(mountPoint.lastIndexOf('/') + 1);
      if (seen.has(mountPoint)) {
        links.push([name, join(destination, controller)]);
        continue;
      }
      seen.set(mountPoint, name);
      const shared = Object.keys(this.#hierarchies).filter(
        (other) => this.#hierarchies[other]!.mountPoint === mountPoint,
      );
      const data = shared.map((other) => (other === 'systemd' ? 'xattr,name=systemd' : other)).join(',');
      mounts.push(
        ownNamespace
          ? { destination: join(destination, name), type: 'cgroup-v1', source: 'cgroup', options: [...kept, data] }
          : {
              destination: join(destination, name),
              type: 'bind',
              source: folders[controller]!,
              options: ['bind', ...kept],
            },
      );
      if (name !== controller) links.push([name, join(destination, controller)]);
    }
    return { mounts, links };
  }

  stats(folders: CgroupFolders): Promise<CgroupStats> {
    return readStats(folders);
  }

  pids(folders: CgroupFolders): Promise<number[]> {
    return readPids(this.killFolder(folders));
  }

  async oomKills(folders: CgroupFolders): Promise<bigint> {
    const memory = folders['memory'];
    const text = memory === undefined ? undefined : await readText(join(memory, 'memory.oom_control'));
    return BigInt(/^oom_kill (\d+)$/m.exec(text ?? '')?.[1] ?? 0);
  }

  #need(folders: CgroupFolders, controller: string): string {
    const folder = folders[controller];
    if (folder === undefined) throw new Error(`cgroup controller ${controller} is not mounted`);
    return folder;
  }
}

function planInherit(plan: Plan, parent: string, folder: string, file: string): void {
  plan.op(
    Op.COPY_IF_EMPTY,
    (failure) => `unable to initialise ${folder}/${file}: ${errnoText(failure.errno)}`,
    (fields) => fields.string(join(parent, file)).string(join(folder, file)),
  );
}

function planSetting(plan: Plan, folder: string, { file, value, soft }: Setting): void {
  plan.write(join(folder, file), value, { soft: soft ?? false }, (failure) =>
    failure.text.startsWith('open')
      ? `open ${folder}/${file}: ${errnoText(failure.errno)}`
      : `failed to write ${JSON.stringify(value)} to ${folder}/${file}: ${errnoText(failure.errno)}`,
  );
}
