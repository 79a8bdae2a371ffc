/**
 * What a cluster's version should be, given what its members are: pure. The lowest minor version of all, so that nobody uses what another does not
 * understand; it rises by itself and falls only in a downgrade that was asked for. (upstream: server/etcdserver/version/monitor.go)
 */
import type { DowngradeInfo } from '../maintenance/downgrade-info.ts';

export interface ClusterVersions {
  /** What the cluster has agreed on: `3.5.0`; empty before the first time. */
  readonly current: string;
  /** What each member's server calls itself, `3.5.26`; undefined for one that could not be asked. */
  readonly servers: readonly (string | undefined)[];
  readonly downgrade: DowngradeInfo;
}

export interface VersionDecision {
  /** The version to agree on now; undefined while all is as it should be. */
  readonly set: string | undefined;
  /** Every member has gone back: the downgrade is over. */
  readonly downgraded: boolean;
}

const nothing: VersionDecision = { set: undefined, downgraded: false };

/** @returns nothing to do while a member cannot be asked: it may be older than all others */
export function decideVersion({ current, servers, downgrade }: ClusterVersions): VersionDecision {
  const minors = servers.filter((version) => version !== undefined).map(minorOf);
  if (minors.length === 0 || minors.length < servers.length) return nothing;
  const [lowest, highest] = [Math.min(...minors), Math.max(...minors)];
  if (current === '') return { set: textOf(lowest), downgraded: false };
  const now = minorOf(current);
  const target = downgrade.enabled ? minorOf(downgrade.targetVersion) : undefined;
  const falls = target !== undefined && lowest === target && now === target + 1;
  return {
    // While it is on its way down nothing lifts it again.
    set: falls || (target === undefined && lowest > now) ? textOf(lowest) : undefined,
    downgraded: target !== undefined && lowest === target && highest === target,
  };
}

/** There is one major version with this protocol: versions are told apart by the minor. */
function minorOf(version: string): number {
  return Number(version.split('.')[1] ?? 0);
}

function textOf(minor: number): string {
  return `3.${minor}.0`;
}
