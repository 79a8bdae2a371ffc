/** A Deployment's status and conditions from its ReplicaSets. Pure; reasons and messages are upstream's. */
import { formatTime, parseTime } from '#kube-client/time.ts';
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '#kube-client/types/apps.ts';
import { fenceposts, replicasOf, sumReplicas } from './plan.ts';

/** A Deployment without a deadline never times out. */
const noDeadlineSeconds = 2 ** 31 - 1;

export type Conditions = readonly DeploymentCondition[];

export function hasProgressDeadline({ spec }: Deployment): boolean {
  return spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== noDeadlineSeconds;
}

export function conditionOf(status: { readonly conditions?: Conditions } | undefined, type: string) {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** One that says the same is kept as it is; the time of transition changes with the status only. */
export function withCondition(
  conditions: Conditions,
  condition: { readonly type: string; readonly status: string; readonly reason: string; readonly message: string },
  nowMs: number,
): Conditions {
  const current = conditions.find(({ type }) => type === condition.type);
  if (current?.status === condition.status && current.reason === condition.reason) return conditions;
  const now = formatTime(nowMs);
  return [
    ...conditions.filter(({ type }) => type !== condition.type),
    {
      ...condition,
      lastUpdateTime: now,
      lastTransitionTime: current?.status === condition.status ? (current.lastTransitionTime ?? now) : now,
    },
  ];
}

const without = (conditions: Conditions, type: string) => conditions.filter((condition) => condition.type !== type);

/** @param newSet the ReplicaSet of the current template */
export function deploymentStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const sum = (count: (set: ReplicaSet) => number | undefined) =>
    all.reduce((total, set) => total + (count(set) ?? 0), 0);
  const availableReplicas = sum(({ status }) => status?.availableReplicas);
  const enough = availableReplicas >= replicasOf(deployment) - fenceposts(deployment).maxUnavailable;
  const conditions = withCondition(
    deployment.status?.conditions ?? [],
    enough
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    nowMs,
  );
  const counts = {
    replicas: sum(({ status }) => status?.replicas),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: sum(({ status }) => status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, sumReplicas(all) - availableReplicas),
  };
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    terminatingReplicas: sum(({ status }) => status?.terminatingReplicas),
    ...(deployment.status?.collisionCount !== undefined && { collisionCount: deployment.status.collisionCount }),
    conditions,
  };
}

/** The status during and after a rollout: progress is noted, and its absence. */
export function rolloutStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const status = deploymentStatus(deployment, all, newSet, nowMs);
  let conditions = status.conditions ?? [];
  const current = conditionOf(deployment.status, 'Progressing');
  const isDone =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === 'NewReplicaSetAvailable';
  if (!hasProgressDeadline(deployment)) conditions = without(conditions, 'Progressing');
  else if (!isDone) {
    const subject = newSet === undefined ? `Deployment ${quote(deployment)}` : `ReplicaSet ${quote(newSet)}`;
    if (isComplete(deployment, status))
      conditions = withCondition(
        conditions,
        {
          type: 'Progressing',
          status: 'True',
          reason: 'NewReplicaSetAvailable',
          message: `${subject} has successfully progressed.`,
        },
        nowMs,
      );
    else if (isProgressing(deployment, status)) {
      const now = formatTime(nowMs);
      // Set anew even if it says the same: the deadline counts from the last progress.
      conditions = [
        ...without(conditions, 'Progressing'),
        {
          type: 'Progressing',
          status: 'True',
          reason: 'ReplicaSetUpdated',
          message: `${subject} is progressing.`,
          lastUpdateTime: now,
          lastTransitionTime: current?.status === 'True' ? (current.lastTransitionTime ?? now) : now,
        },
      ];
    } else if (isTimedOut(deployment, nowMs))
      conditions = withCondition(
        conditions,
        {
          type: 'Progressing',
          status: 'False',
          reason: 'ProgressDeadlineExceeded',
          message: `${subject} has timed out progressing.`,
        },
        nowMs,
      );
  }
  const failure = [newSet, ...all].map((set) => conditionOf(set?.status, 'ReplicaFailure')).find(Boolean);
  conditions =
    failure === undefined
      ? without(conditions, 'ReplicaFailure')
      : withCondition(
          conditions,
          {
            type: 'ReplicaFailure',
            status: failure.status,
            reason: failure.reason ?? '',
            message: failure.message ?? '',
          },
          nowMs,
        );
  return { ...status, conditions };
}

export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const wanted = replicasOf(deployment);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function isProgressing({ status: before = {} }: Deployment, after: DeploymentStatus): boolean {
  const oldPods = ({ replicas = 0, updatedReplicas = 0 }: DeploymentStatus) => replicas - updatedReplicas;
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    oldPods(after) < oldPods(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function isTimedOut(deployment: Deployment, nowMs: number): boolean {
  const condition = conditionOf(deployment.status, 'Progressing');
  if (condition === undefined || condition.reason === 'NewReplicaSetAvailable') return false;
  if (condition.reason === 'ProgressDeadlineExceeded') return true;
  return parseTime(condition.lastUpdateTime) + deployment.spec.progressDeadlineSeconds! * 1000 < nowMs;
}

/** When to look again for want of progress; undefined for never. */
export function stuckInMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const condition = conditionOf(status, 'Progressing');
  if (!hasProgressDeadline(deployment) || condition === undefined) return undefined;
  if (isComplete(deployment, status) || condition.reason === 'ProgressDeadlineExceeded') return undefined;
  const dueMs = parseTime(condition.lastUpdateTime) + deployment.spec.progressDeadlineSeconds! * 1000;
  return Math.max(1000, dueMs - nowMs + 1000);
}

const quote = ({ metadata }: Deployment | ReplicaSet) => JSON.stringify(metadata.name);
