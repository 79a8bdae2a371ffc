/** What a pod's status says to those who count pods. Pure; upstream's api/v1/pod and controller_utils in duty. */
import { parseTime } from '#kube-client/time.ts';
import type { Pod } from '#kube-client/types/core.ts';
import type { Condition } from '#kube-client/types/meta.ts';

/** Neither finished nor on its way out. */
export function isPodActive({ status, metadata }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed' && metadata.deletionTimestamp === undefined;
}

/** Deleted, but its containers may still run. */
export function isPodTerminating({ status, metadata }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed' && metadata.deletionTimestamp !== undefined;
}

export function readyCondition(pod: Pod): Condition | undefined {
  return pod.status?.conditions?.find(({ type }) => type === 'Ready');
}

export function isPodReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === 'True';
}

/** Ready for at least `minReadySeconds`. */
export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  return availableInMs(pod, minReadySeconds, nowMs) === 0;
}

/** Time until a ready pod counts as available: 0 for one that does; undefined for one that is not ready. */
export function availableInMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  const ready = readyCondition(pod);
  if (ready?.status !== 'True') return undefined;
  if (minReadySeconds === 0) return 0;
  const sinceMs = parseTime(ready.lastTransitionTime);
  return Number.isNaN(sinceMs) ? undefined : Math.max(0, sinceMs + minReadySeconds * 1000 - nowMs);
}

/**
 * Orders pods by how little is lost with them, first to be deleted first.
 * @param rank how many pods of the same owner family share the pod's node
 */
export function byDeletionPreference(rank: (pod: Pod) => number, nowMs: number): (a: Pod, b: Pod) => number {
  return (a, b) =>
    Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
    phaseOrder(a) - phaseOrder(b) ||
    Number(isPodReady(a)) - Number(isPodReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    rank(b) - rank(a) ||
    ageRank(readyCondition(a)?.lastTransitionTime, nowMs) - ageRank(readyCondition(b)?.lastTransitionTime, nowMs) ||
    restarts(b) - restarts(a) ||
    ageRank(a.metadata.creationTimestamp, nowMs) - ageRank(b.metadata.creationTimestamp, nowMs) ||
    compareText(a.metadata.uid ?? '', b.metadata.uid ?? '');
}

function phaseOrder({ status }: Pod): number {
  return status?.phase === 'Running' ? 2 : status?.phase === 'Unknown' ? 1 : 0;
}

export const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

function deletionCost({ metadata }: Pod): number {
  const text = metadata.annotations?.[deletionCostAnnotation];
  return text !== undefined && /^(0|-?[1-9]\d{0,9})$/.test(text) ? Number(text) : 0;
}

/** Ages in powers of two, younger first: pods of about one age count as equal. */
function ageRank(since: string | null | undefined, nowMs: number): number {
  const sinceMs = parseTime(since);
  if (Number.isNaN(sinceMs)) return -1;
  const age = nowMs - sinceMs;
  return age <= 0 ? 0 : Math.floor(Math.log2(age / 1000 + 1));
}

function restarts({ status }: Pod): number {
  return Math.max(0, ...(status?.containerStatuses ?? []).map(({ restartCount = 0 }) => restartCount));
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
