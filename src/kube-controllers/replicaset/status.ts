/** A ReplicaSet's status from its pods. Pure. */
import { formatTime } from '#kube-client/time.ts';
import type { ReplicaSet, ReplicaSetStatus } from '#kube-client/types/apps.ts';
import type { Pod } from '#kube-client/types/core.ts';
import { matches, selectorOfMap } from '#kube-machinery/label-selector.ts';
import { isPodActive, isPodAvailable, isPodReady, isPodTerminating } from '../pods/pod-state.ts';

/** Why the last creation or deletion failed. */
export interface ManageFailure {
  readonly reason: 'FailedCreate' | 'FailedDelete';
  readonly message: string;
}

/** @param pods all that the ReplicaSet claims */
export function replicaSetStatus(
  replicaSet: ReplicaSet,
  pods: readonly Pod[],
  failure: ManageFailure | undefined,
  nowMs: number,
): ReplicaSetStatus {
  const active = pods.filter(isPodActive);
  const template = selectorOfMap(replicaSet.spec.template.metadata?.labels ?? {});
  const { minReadySeconds = 0 } = replicaSet.spec;
  const { conditions: before = [] } = replicaSet.status ?? {};
  const known = before.find(({ type }) => type === 'ReplicaFailure');
  const conditions = [
    ...before.filter(({ type }) => type !== 'ReplicaFailure'),
    ...(failure === undefined
      ? []
      : known?.reason === failure.reason
        ? [known]
        : [{ type: 'ReplicaFailure', status: 'True', lastTransitionTime: formatTime(nowMs), ...failure }]),
  ];
  const counts = {
    fullyLabeledReplicas: active.filter(({ metadata }) => matches(template, metadata.labels)).length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: active.filter((pod) => isPodAvailable(pod, minReadySeconds, nowMs)).length,
  };
  return {
    replicas: active.length,
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    terminatingReplicas: pods.filter(isPodTerminating).length,
    observedGeneration: replicaSet.metadata.generation ?? 0,
    ...(conditions.length > 0 && { conditions }),
  };
}
