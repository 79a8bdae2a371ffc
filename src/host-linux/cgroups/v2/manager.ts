/** cgroups v2: one folder in the unified hierarchy, into which processes are born. */
import { dirname, join, relative } from 'node:path';
import { Op } from '../../helper/op-codes.ts';
import { errnoText, type Plan } from '../../helper/plan.ts';
import { type CgroupHierarchy, cleanCgroupPath } from '../detect.ts';
import { readKeyed, readPids } from '../files.ts';
import type { CgroupFolders, CgroupManager, CgroupStats, CgroupView } from '../manager.ts';
import type { CgroupResources } from '../resources.ts';
import type { ControllerPlan, Setting } from '../setting.ts';
import { planCpu } from './cpu.ts';
import { planCpuset } from './cpuset.ts';
import { deviceProgram } from './device-program.ts';
import { planHugetlb } from './hugetlb.ts';
import { planIo } from './io.ts';
import { planMemory } from './memory.ts';
import { planPids } from './pids.ts';
import { planRdma } from './rdma.ts';
import { readStats } from './stats.ts';

const controllers: Readonly<Record<string, ControllerPlan>> = {
  cpu: planCpu,
  cpuset: planCpuset,
  memory: planMemory,
  pids: planPids,
  io: planIo,
  hugetlb: planHugetlb,
  rdma: planRdma,
};

const removeMs = 2000;

export class CgroupManagerV2 implements CgroupManager {
  readonly version = 2;
  readonly #hierarchy: CgroupHierarchy;

  constructor(hierarchy: CgroupHierarchy) {
    this.#hierarchy = hierarchy;
  }

  folders(cgroupsPath: string): CgroupFolders {
    const { mountPoint, root, own } = this.#hierarchy;
    const path = cleanCgroupPath(cgroupsPath);
    if (path.startsWith('/')) return { '': join(mountPoint, path) };
    // Our own cgroup holds processes, so controllers cannot be enabled for what is below it; its parent can.
    const ownHere = relative(root, own).startsWith('..') ? '' : relative(root, own);
    return { '': join(mountPoint, dirname(`/${ownHere}`), path) };
  }

  planCreate(plan: Plan, folders: CgroupFolders, resources: CgroupResources): void {
    const folder = folders['']!;
    let parent = this.#hierarchy.mountPoint;
    for (const part of relative(parent, folder).split('/')) {
      // One by one: a controller the machine lacks must not keep the others out.
      for (const controller of Object.keys(controllers))
        plan.write(join(parent, 'cgroup.subtree_control'), `+${controller}`, { soft: true });
      parent = join(parent, part);
      plan.mkdir(parent);
    }
    this.#planSettings(plan, folder, resources);
    planDevices(plan, folder, resources);
  }

  planJoin(): void {
    // Born into it: see cloneInto.
  }

  cloneInto(folders: CgroupFolders): string {
    return folders['']!;
  }

  planUpdate(plan: Plan, folders: CgroupFolders, resources: CgroupResources): void {
    this.#planSettings(plan, folders['']!, resources);
    if (resources.devices !== undefined) planDevices(plan, folders['']!, resources);
  }

  #planSettings(plan: Plan, folder: string, resources: CgroupResources): void {
    for (const controller of Object.values(controllers))
      for (const setting of controller(resources)) planSetting(plan, folder, setting);
    for (const [file, value] of Object.entries(resources.unified ?? {})) planSetting(plan, folder, { file, value });
  }

  planFreeze(plan: Plan, folders: CgroupFolders, frozen: boolean): void {
    plan.write(join(folders['']!, 'cgroup.freeze'), frozen ? '1' : '0');
  }

  async frozen(folders: CgroupFolders): Promise<boolean> {
    return (await readKeyed(join(folders['']!, 'cgroup.events'))).get('frozen') === 1n;
  }

  killFolder(folders: CgroupFolders): string {
    return folders['']!;
  }

  planKill(plan: Plan, folders: CgroupFolders, signal: number, limitMs: number): void {
    const folder = folders['']!;
    // The kernel's own way (Linux 5.14) leaves no window for forks.
    if (signal === 9) plan.write(join(folder, 'cgroup.kill'), '1', { soft: true });
    plan.op(
      Op.KILL_CGROUP,
      (failure) => `unable to kill processes of ${folder}: ${errnoText(failure.errno)}`,
      (fields) => fields.string(folder).u32(signal).u32(limitMs),
    );
  }

  planRemove(plan: Plan, folders: CgroupFolders): void {
    const folder = folders['']!;
    plan.op(
      Op.RMDIR_TREE,
      (failure) => `unable to remove cgroup ${folder}: ${errnoText(failure.errno)}`,
      (fields) => fields.string(folder).u32(removeMs),
    );
  }

  view(folders: CgroupFolders, destination: string, options: readonly string[], ownNamespace: boolean): CgroupView {
    return {
      mounts: [
        ownNamespace
          ? { destination, type: 'cgroup2', source: 'cgroup', options }
          : { destination, type: 'bind', source: folders['']!, options: ['bind', ...options] },
      ],
      links: [],
    };
  }

  stats(folders: CgroupFolders): Promise<CgroupStats> {
    return readStats(folders['']!);
  }

  pids(folders: CgroupFolders): Promise<number[]> {
    return readPids(folders['']!);
  }

  async oomKills(folders: CgroupFolders): Promise<bigint> {
    return (await readKeyed(join(folders['']!, 'memory.events'))).get('oom_kill') ?? 0n;
  }
}

function planDevices(plan: Plan, folder: string, resources: CgroupResources): void {
  plan.op(
    Op.CGROUP_DEVICES,
    (failure) => `failed to set the device filter of ${folder}: ${errnoText(failure.errno)}`,
    (fields) => fields.string(folder).bytes(deviceProgram(resources.devices ?? [])),
  );
}

function planSetting(plan: Plan, folder: string, { file, value, soft }: Setting): void {
  plan.write(join(folder, file), value, { soft: soft ?? false }, (failure) =>
    failure.text.startsWith('open')
      ? `open ${folder}/${file}: ${errnoText(failure.errno)}`
      : `failed to write ${JSON.stringify(value)} to ${folder}/${file}: ${errnoText(failure.errno)}`,
  );
}
