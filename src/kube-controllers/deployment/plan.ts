/** How many pods each ReplicaSet of a Deployment should have next: rolling, recreating and scaling. Pure; upstream's arithmetic. */
import type { Deployment, ReplicaSet } from '#kube-client/types/apps.ts';
import { annotatedNumber, byCreation, desiredReplicasAnnotation, maxReplicasAnnotation } from './revision.ts';

export interface Scaling {
  readonly set: ReplicaSet;
  readonly replicas: number;
}

export const replicasOf = ({ spec }: ReplicaSet | Deployment): number => spec.replicas ?? 1;
const availableOf = ({ status }: ReplicaSet): number => status?.availableReplicas ?? 0;
export const sumReplicas = (sets: readonly ReplicaSet[]): number => sets.reduce((sum, set) => sum + replicasOf(set), 0);

export function isRolling({ spec }: Deployment): boolean {
  return spec.strategy?.type !== 'Recreate';
}

/** Pods over and under the wanted number that a rollout may have. Percentages of surge round up, of unavailability down. */
export function fenceposts(deployment: Deployment): { readonly maxSurge: number; readonly maxUnavailable: number } {
  if (!isRolling(deployment) || replicasOf(deployment) === 0) return { maxSurge: 0, maxUnavailable: 0 };
  const { maxSurge = 0, maxUnavailable = 0 } = deployment.spec.strategy?.rollingUpdate ?? {};
  const total = replicasOf(deployment);
  const surge = resolve(maxSurge, total, Math.ceil);
  const unavailable = resolve(maxUnavailable, total, Math.floor);
  // Both zero would never move.
  return { maxSurge: surge, maxUnavailable: Math.min(surge === 0 && unavailable === 0 ? 1 : unavailable, total) };
}

function resolve(value: number | string, total: number, round: (value: number) => number): number {
  return typeof value === 'number' ? value : round((Number.parseInt(value, 10) * total) / 100);
}

/** What the newest ReplicaSet may grow to now. */
export function newReplicas(deployment: Deployment, all: readonly ReplicaSet[], current: number): number {
  const wanted = replicasOf(deployment);
  if (!isRolling(deployment)) return wanted;
  const maxTotal = wanted + fenceposts(deployment).maxSurge;
  const total = sumReplicas(all);
  return total >= maxTotal ? current : current + Math.min(maxTotal - total, wanted - current);
}

/** One step of a rolling update: the newest up if it may, else the old ones down as far as availability allows. */
export function rollingStep(
  deployment: Deployment,
  newSet: ReplicaSet,
  old: readonly ReplicaSet[],
): readonly Scaling[] {
  const all = [...old, newSet];
  const current = replicasOf(newSet);
  const wanted = replicasOf(deployment);
  const next = current > wanted ? wanted : current < wanted ? newReplicas(deployment, all, current) : current;
  if (next !== current) return [{ set: newSet, replicas: next }];
  return scaleDownOld(deployment, newSet, old);
}

function scaleDownOld(deployment: Deployment, newSet: ReplicaSet, old: readonly ReplicaSet[]): readonly Scaling[] {
  const active = old.filter((set) => replicasOf(set) > 0).sort(byCreation);
  if (active.length === 0) return [];
  const all = [...active, newSet];
  const minAvailable = replicasOf(deployment) - fenceposts(deployment).maxUnavailable;
  const newUnavailable = replicasOf(newSet) - availableOf(newSet);
  const maxScaledDown = sumReplicas(all) - minAvailable - newUnavailable;
  if (maxScaledDown <= 0) return [];
  const planned = new Map(active.map((set) => [set, replicasOf(set)]));
  // Pods that do not serve go first: they cost no availability.
  let cleaned = 0;
  for (const set of active) {
    const unhealthy = Math.min(maxScaledDown - cleaned, replicasOf(set) - availableOf(set));
    if (unhealthy <= 0) continue;
    cleaned += unhealthy;
    planned.set(set, planned.get(set)! - unhealthy);
  }
  let spare = all.reduce((sum, set) => sum + availableOf(set), 0) - minAvailable;
  for (const set of active) {
    const count = Math.min(planned.get(set)!, spare);
    if (count <= 0) continue;
    spare -= count;
    planned.set(set, planned.get(set)! - count);
  }
  return changes(planned);
}

/** The wanted number changed (or the Deployment is paused): what to do without rolling. */
export function scalingStep(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): readonly Scaling[] {
  const wanted = replicasOf(deployment);
  const all = newSet === undefined ? old : [...old, newSet];
  const active = all.filter((set) => replicasOf(set) > 0);
  const only =
    active.length === 1 ? active[0] : active.length === 0 ? (newSet ?? [...old].sort(byCreation).at(-1)) : undefined;
  // The annotations are checked even when the number is right.
  if (only !== undefined) return [{ set: only, replicas: wanted }];
  if (active.length === 0) return [];
  if (isSaturated(deployment, newSet))
    return old.filter((set) => replicasOf(set) > 0).map((set) => ({ set, replicas: 0 }));
  return isRolling(deployment) ? proportional(deployment, active) : [];
}

function isSaturated(deployment: Deployment, set: ReplicaSet | undefined): boolean {
  const wanted = replicasOf(deployment);
  return (
    set !== undefined &&
    replicasOf(set) === wanted &&
    annotatedNumber(set, desiredReplicasAnnotation) === wanted &&
    availableOf(set) === wanted
  );
}

/** In the middle of a rollout every ReplicaSet gets its share; the largest gets what rounding leaves. */
function proportional(deployment: Deployment, active: readonly ReplicaSet[]): readonly Scaling[] {
  const wanted = replicasOf(deployment);
  const { maxSurge } = fenceposts(deployment);
  const maxTotal = wanted + maxSurge;
  const toAdd = (wanted > 0 ? maxTotal : 0) - sumReplicas(active);
  const sorted = [...active].sort(
    (a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)),
  );
  let added = 0;
  const sizes = new Map<ReplicaSet, number>();
  for (const set of sorted) {
    const size = replicasOf(set);
    if (toAdd === 0) {
      sizes.set(set, size);
      continue;
    }
    const base = annotatedNumber(set, maxReplicasAnnotation) || deployment.status?.replicas || maxTotal;
    const share = wanted === 0 ? -size : Math.round((size * maxTotal) / base) - size;
    const proportion = toAdd > 0 ? Math.min(share, toAdd - added) : Math.max(share, toAdd - added);
    sizes.set(set, size + proportion);
    added += proportion;
  }
  const first = sorted[0]!;
  if (toAdd !== 0) sizes.set(first, Math.max(0, sizes.get(first)! + toAdd - added));
  // All of them, so that the annotations follow.
  return sorted.map((set) => ({ set, replicas: sizes.get(set)! }));
}

/** True when the wanted number is not the one that the ReplicaSets were last scaled for. */
export function isScalingEvent(deployment: Deployment, all: readonly ReplicaSet[]): boolean {
  return all.some((set) => {
    if (replicasOf(set) === 0) return false;
    const desired = annotatedNumber(set, desiredReplicasAnnotation);
    return desired !== undefined && desired !== replicasOf(deployment);
  });
}

function changes(planned: ReadonlyMap<ReplicaSet, number>): Scaling[] {
  return Array.from(planned, ([set, replicas]) => ({ set, replicas })).filter(
    ({ set, replicas }) => replicas !== replicasOf(set),
  );
}
