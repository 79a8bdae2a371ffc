/** What `wherry up` does besides for clusters of several control planes: how many, with which settings, and bringing back those that are dead. */
import {
  type ClusterLayout,
  checkSettings,
  controlPlaneCount,
  controlPlaneCounts,
  LayoutError,
} from '#cluster/control-planes/layout.ts';
import { type LivePlane, livePlanes, startPlanes } from '#cluster/control-planes/processes.ts';
import type { ClusterPaths } from '#cluster/paths.ts';
import { systemClock } from '#host/clock.ts';
import { layoutOf } from './cluster-layout.ts';
import { CommandError, ExitCode } from './command.ts';
import type { Parsed } from './flags.ts';

/** How many control planes the cluster has, or is to have. @throws CommandError when that cannot be */
export async function askedControlPlanes(
  name: string,
  paths: ClusterPaths,
  parsed: Parsed,
): Promise<{ readonly count: number; readonly layout: ClusterLayout | undefined }> {
  const text = parsed.string('control-planes');
  const asked = text === undefined ? undefined : Number(text);
  if (asked !== undefined && !controlPlaneCounts.includes(asked))
    throw new CommandError(ExitCode.usage, `--control-planes ${text}: use one of ${controlPlaneCounts.join(', ')}`);
  const given = (flag: string) => (parsed.has(flag) ? parsed.string(flag) : undefined);
  try {
    const layout = await layoutOf(paths);
    const count = await controlPlaneCount(name, paths, layout, asked);
    if (layout !== undefined) {
      const [port, podCidr, serviceCidr] = [given('port'), given('pod-cidr'), given('service-cidr')];
      const [clusterDomain, etcdServers] = [given('cluster-domain'), given('etcd-servers')];
      checkSettings(name, layout, {
        ...(port !== undefined && { port: Number(port) }),
        ...(podCidr !== undefined && { podCidr }),
        ...(serviceCidr !== undefined && { serviceCidr }),
        ...(clusterDomain !== undefined && { clusterDomain }),
        ...(etcdServers !== undefined && { etcdServers }),
      });
    }
    return { count, layout };
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error;
    throw new CommandError(ExitCode.usage, error.message, { cause: error });
  }
}

/** How this program starts itself again as a control plane. */
export function serverCommand(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1]!, 'server'];
}

/** Starts the dead control planes of a cluster that runs. Empty: none is dead. */
export async function bringBack(
  clusterName: string,
  paths: ClusterPaths,
  layout: ClusterLayout,
  waitMs: number,
): Promise<readonly LivePlane[]> {
  const live = await livePlanes(paths, layout);
  const dead = layout.controlPlanes.map(({ name }) => name).filter((name) => !live.some((one) => one.name === name));
  if (dead.length === 0) return [];
  const processes = { clusterName, paths, layout, serverCommand: serverCommand(), clock: systemClock };
  return startPlanes(processes, dead, { timeoutMs: waitMs });
}
