/** The taints a node's conditions call for. Pure; keys are upstream's well-known ones. */
import type { Node, NodeCondition, Taint } from '#kube-client/types/core.ts';

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';
const unschedulableTaint = 'node.kubernetes.io/unschedulable';

/** By condition, then by its status. */
const taintByCondition: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: notReadyTaint, Unknown: unreachableTaint },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
};

const managedNoSchedule = new Set([
  ...Object.values(taintByCondition).flatMap((byStatus) => Object.values(byStatus)),
  unschedulableTaint,
]);
const managedNoExecute = new Set([notReadyTaint, unreachableTaint]);

export function conditionOf(node: Node, type: string): NodeCondition | undefined {
  return node.status?.conditions?.find((condition) => condition.type === type);
}

export function isNodeReady(node: Node): boolean {
  return conditionOf(node, 'Ready')?.status === 'True';
}

/**
 * @param mayEvict false while so many nodes are lost that the fault is likely elsewhere: nobody is then evicted
 * @returns all taints the node should have, or undefined when it has them
 */
export function wantedTaints(node: Node, mayEvict: boolean, now: string): readonly Taint[] | undefined {
  const current = node.spec?.taints ?? [];
  const wanted: Taint[] = [];
  for (const { type, status } of node.status?.conditions ?? []) {
    const key = taintByCondition[type]?.[status];
    if (key !== undefined) wanted.push({ key, effect: 'NoSchedule' });
  }
  // A node that never said anything is as good as not ready: its taint from admission stays.
  const ready = conditionOf(node, 'Ready');
  if (ready === undefined && current.some(({ key, effect }) => key === notReadyTaint && effect === 'NoSchedule'))
    wanted.push({ key: notReadyTaint, effect: 'NoSchedule' });
  if (node.spec?.unschedulable) wanted.push({ key: unschedulableTaint, effect: 'NoSchedule' });
  if (mayEvict && ready?.status === 'False') wanted.push({ key: notReadyTaint, effect: 'NoExecute' });
  if (mayEvict && ready?.status === 'Unknown') wanted.push({ key: unreachableTaint, effect: 'NoExecute' });

  const same = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;
  const managed = ({ key, effect }: Taint) =>
    (effect === 'NoSchedule' && managedNoSchedule.has(key)) || (effect === 'NoExecute' && managedNoExecute.has(key));
  const kept = current.filter((taint) => !managed(taint) || wanted.some((other) => same(taint, other)));
  const added = wanted.filter((taint) => !current.some((other) => same(taint, other)));
  if (kept.length === current.length && added.length === 0) return undefined;
  return [...kept, ...added.map((taint) => ({ ...taint, timeAdded: now }))];
}

/** What a node says about itself when it does not say anything any more. */
export function lostConditions(node: Node, now: string): readonly NodeCondition[] | undefined {
  const conditions = node.status?.conditions ?? [];
  let changed = false;
  const lost = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type): NodeCondition => {
    const known = conditions.find((condition) => condition.type === type);
    if (known?.status === 'Unknown') return known;
    changed = true;
    if (known === undefined)
      return {
        type,
        status: 'Unknown',
        reason: 'NodeStatusNeverUpdated',
        message: 'Kubelet never posted node status.',
        lastHeartbeatTime: node.metadata.creationTimestamp ?? null,
        lastTransitionTime: now,
      };
    return {
      ...known,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'Kubelet stopped posting node status.',
      lastTransitionTime: now,
    };
  });
  if (!changed) return undefined;
  const types = new Set(lost.map(({ type }) => type));
  return [...conditions.filter(({ type }) => !types.has(type)), ...lost];
}

/** Nodes beyond which a cluster is large: a partial failure then still evicts, slowly. */
const largeClusterNodes = 50;
const unhealthyShare = 0.55;

/**
 * May pods be evicted from lost nodes? Not when every zone is down altogether, and not when most of a small zone is: then the
 * control plane has lost the network, not the nodes.
 */
export function mayEvictFrom(node: Node, nodes: readonly Node[]): boolean {
  const zones = new Map<string, { total: number; lost: number }>();
  for (const each of nodes) {
    const zone = zones.get(zoneOf(each)) ?? { total: 0, lost: 0 };
    zone.total++;
    if (!isNodeReady(each)) zone.lost++;
    zones.set(zoneOf(each), zone);
  }
  if ([...zones.values()].every(({ total, lost }) => lost === total)) return false;
  const { total, lost } = zones.get(zoneOf(node)) ?? { total: 1, lost: 0 };
  return total === lost || !(lost > 2 && lost / total >= unhealthyShare && total <= largeClusterNodes);
}

function zoneOf({ metadata }: Node): string {
  const { labels = {} } = metadata;
  return `${labels['topology.kubernetes.io/region'] ?? ''}:${labels['topology.kubernetes.io/zone'] ?? ''}`;
}
