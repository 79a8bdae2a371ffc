/**
 * What a cluster of several control planes is made of: their names and ports, and the addresses they were made with. Written once into the data folder,
 * by the first `up`, and read by everybody after it: members of etcd stay where the others look for them.
 */
import { join } from 'node:path';
import { kindOf, readIfThere, replaceFile } from '#host/files.ts';
import type { ClusterPaths } from '../paths.ts';

export interface ControlPlaneEntry {
  /** `cp-1`: of the process, the etcd member and the candidate for leases. */
  readonly name: string;
  /** Where its etcd member hears the others, on loopback; undefined on somebody else's etcd. */
  readonly peerPort?: number;
}

export interface ClusterLayout {
  readonly controlPlanes: readonly ControlPlaneEntry[];
  /** Of the API: all control planes listen on it. */
  readonly port: number;
  /** Where pods reach the API. */
  readonly nodeIp: string;
  readonly kubeletPort: number;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  /** Somebody's etcd, comma-separated, instead of members of our own. */
  readonly etcdServers?: string;
}

/** What was asked for does not fit what is there. */
export class LayoutError extends Error {
  override readonly name = 'LayoutError';
}

/** One, or numbers of which a majority can be lost and told apart. */
export const controlPlaneCounts: readonly number[] = [1, 3, 5];

type DataFolder = Pick<ClusterPaths, 'data'>;
const layoutFile = (paths: DataFolder) => join(paths.data, 'control-planes.json');

/** Undefined: the cluster has one control plane, or is not there yet. @throws LayoutError that names a file which cannot be read */
export async function readLayout(paths: DataFolder): Promise<ClusterLayout | undefined> {
  const text = await readIfThere(layoutFile(paths));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text.toString('utf8')) as ClusterLayout;
  } catch (error) {
    throw new LayoutError(`${layoutFile(paths)}: ${(error as Error).message}`, { cause: error });
  }
}

export async function writeLayout(paths: DataFolder, layout: ClusterLayout): Promise<void> {
  await replaceFile(layoutFile(paths), `${JSON.stringify(layout, undefined, 2)}\n`, { mode: 0o600 });
}

/**
 * How many control planes an `up` is about.
 * @param asked undefined: as many as there are
 * @throws LayoutError when the cluster has another number
 */
export async function controlPlaneCount(
  name: string,
  paths: ClusterPaths,
  layout: ClusterLayout | undefined,
  asked: number | undefined,
): Promise<number> {
  const existing = layout?.controlPlanes.length ?? ((await kindOf(paths.etcd)) === undefined ? undefined : 1);
  if (existing === undefined || asked === undefined || asked === existing) return existing ?? asked ?? 1;
  const has = existing === 1 ? 'one control plane' : `${existing} control planes`;
  throw new LayoutError(
    `cluster ${name} has ${has}: their number cannot be changed yet; leave --control-planes out, or give another --name`,
  );
}

/** What the user may give again, as long as it is the same. */
export type FixedSettings = Partial<
  Pick<ClusterLayout, 'port' | 'podCidr' | 'serviceCidr' | 'clusterDomain' | 'etcdServers'>
>;

/** @throws LayoutError naming the first setting that the cluster was made with another value of */
export function checkSettings(name: string, layout: ClusterLayout, given: FixedSettings): void {
  for (const [key, flag] of settingFlags) {
    const value = given[key];
    if (value !== undefined && value !== layout[key])
      throw new LayoutError(`cluster ${name} was made with --${flag} ${layout[key] ?? '(none)'}: leave the flag out`);
  }
}

const settingFlags = [
  ['port', 'port'],
  ['podCidr', 'pod-cidr'],
  ['serviceCidr', 'service-cidr'],
  ['clusterDomain', 'cluster-domain'],
  ['etcdServers', 'etcd-servers'],
] as const;
