/**
 * cgroups behind one interface, for v1 (one hierarchy a controller) and v2 (one for all). A manager plans: what changes the machine
 * becomes operations of the helper, so that no thread of ours waits for the kernel. Reading statistics is reading small files.
 */
import type { Plan } from '../helper/plan.ts';
import type { CgroupResources } from './resources.ts';

/** Absolute folders of one container, by controller; v2 has one, named ''. */
export type CgroupFolders = Readonly<Record<string, string>>;

/** A mount that shows a container its cgroups: ordinary mounts, and links below the first. */
export interface CgroupView {
  readonly mounts: readonly {
    readonly destination: string;
    readonly type: string;
    readonly source: string;
    readonly options: readonly string[];
  }[];
  readonly links: readonly (readonly [target: string, path: string])[];
}

export interface CgroupStats {
  /** Nanoseconds. */
  readonly cpu: {
    readonly usage: bigint;
    readonly user: bigint;
    readonly system: bigint;
    readonly periods?: bigint;
    readonly throttledPeriods?: bigint;
    readonly throttled?: bigint;
  };
  /** Bytes. `workingSet` is usage without inactive file pages, as the kubelet counts. */
  readonly memory: {
    readonly usage: bigint;
    readonly limit?: bigint;
    readonly workingSet: bigint;
    readonly rss: bigint;
    readonly pageFaults: bigint;
    readonly majorPageFaults: bigint;
    readonly swapUsage?: bigint;
    readonly oomKills?: bigint;
  };
  readonly pids: { readonly current: number; readonly limit?: number };
}

export interface CgroupManager {
  readonly version: 1 | 2;
  /** Where a `cgroupsPath` is: absolute from the hierarchies' roots, relative from our own cgroup. '..' leads nowhere. */
  folders(cgroupsPath: string): CgroupFolders;
  /** Makes the folders and sets limits; in the supervisor, before the process exists. */
  planCreate(plan: Plan, folders: CgroupFolders, resources: CgroupResources): void;
  /** Puts the process that runs this into the folders. Nothing where {@link cloneInto} says how. */
  planJoin(plan: Plan, folders: CgroupFolders): void;
  /** The folder that a process is born into, where the kernel can. */
  cloneInto(folders: CgroupFolders): string | undefined;
  planUpdate(plan: Plan, folders: CgroupFolders, resources: CgroupResources): void;
  /** Asks for freezing or thawing; {@link frozen} tells when it is so. */
  planFreeze(plan: Plan, folders: CgroupFolders, frozen: boolean): void;
  /** The folder whose processes a signal to all must reach, and that is empty at the end. */
  killFolder(folders: CgroupFolders): string;
  /** Signals all processes in the folders until none is left, for at most `limitMs`. */
  planKill(plan: Plan, folders: CgroupFolders, signal: number, limitMs: number): void;
  planRemove(plan: Plan, folders: CgroupFolders): void;
  view(folders: CgroupFolders, destination: string, options: readonly string[], ownNamespace: boolean): CgroupView;
  frozen(folders: CgroupFolders): Promise<boolean>;
  stats(folders: CgroupFolders): Promise<CgroupStats>;
  /** All processes, also of cgroups below. */
  pids(folders: CgroupFolders): Promise<number[]>;
  /** Processes the kernel killed for memory since the cgroup was made. */
  oomKills(folders: CgroupFolders): Promise<bigint>;
}
