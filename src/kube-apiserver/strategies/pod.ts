/** Pods: pending at birth with a QoS class, changed only in a few fields, deleted with a grace period. Source: pkg/registry/core/pod. */
import { QuantityError, quantityOrZero } from '#kube-machinery/quantity.ts';
import type { KubeObject } from '../object.ts';
import type { Strategy } from '../strategy.ts';

interface Container {
  readonly resources?: {
    readonly limits?: Readonly<Record<string, string>>;
    readonly requests?: Readonly<Record<string, string>>;
  };
}

interface PodSpec {
  readonly nodeName?: string;
  readonly terminationGracePeriodSeconds?: number;
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly schedulingGates?: readonly unknown[];
}

const specOf = (pod: KubeObject) => (pod['spec'] ?? {}) as PodSpec;
const statusOf = (pod: KubeObject) => (pod['status'] ?? {}) as Readonly<Record<string, unknown>>;

export function podStrategy(generic: Strategy): Strategy {
  return {
    ...generic,
    prepareCreate(object, writer) {
      const pod = generic.prepareCreate(object, writer);
      const gated = (specOf(pod).schedulingGates ?? []).length > 0;
      return {
        ...pod,
        status: {
          phase: 'Pending',
          qosClass: qosClassOf(pod),
          ...(gated && {
            conditions: [
              {
                type: 'PodScheduled',
                status: 'False',
                reason: 'SchedulingGated',
                message: 'Scheduling is blocked due to non-empty scheduling gates',
                lastProbeTime: null,
                lastTransitionTime: null,
              },
            ],
          }),
        },
      };
    },
    prepareStatusUpdate(object, old, writer) {
      const pod = generic.prepareStatusUpdate(object, old, writer);
      // The class follows from the spec and never changes.
      return { ...pod, status: { ...statusOf(pod), qosClass: statusOf(old)['qosClass'] ?? qosClassOf(old) } };
    },
    graceSeconds(object, options) {
      const { terminationGracePeriodSeconds, nodeName } = specOf(object);
      const { phase } = statusOf(object);
      // Nobody runs it: there is nothing to wait for.
      if (!nodeName || phase === 'Succeeded' || phase === 'Failed') return 0;
      const seconds = options.gracePeriodSeconds ?? terminationGracePeriodSeconds ?? 30;
      return seconds < 0 ? 1 : seconds;
    },
  };
}

const classed = ['cpu', 'memory'] as const;

/** Guaranteed, Burstable or BestEffort, by cpu and memory of all containers. Source: qos.ComputePodQOS. */
export function qosClassOf(pod: KubeObject): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const { containers = [], initContainers = [] } = specOf(pod);
  let any = false;
  let guaranteed = true;
  const requests: Record<string, bigint> = {};
  const limits: Record<string, bigint> = {};
  for (const { resources } of [...containers, ...initContainers]) {
    for (const name of classed) {
      const request = amount(resources?.requests?.[name]);
      const limit = amount(resources?.limits?.[name]);
      if (request > 0n) {
        any = true;
        requests[name] = (requests[name] ?? 0n) + request;
      }
      if (limit > 0n) {
        any = true;
        limits[name] = (limits[name] ?? 0n) + limit;
      } else guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  if (guaranteed && classed.every((name) => requests[name] === undefined || requests[name] === limits[name]))
    return 'Guaranteed';
  return 'Burstable';
}

/** In billionths. What is no quantity counts as none here; validation, which comes after, refuses it. */
function amount(text: string | undefined): bigint {
  try {
    return quantityOrZero(text).nanos;
  } catch (error) {
    if (error instanceof QuantityError) return 0n;
    throw error;
  }
}
