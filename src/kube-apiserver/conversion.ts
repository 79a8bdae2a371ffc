/** Kinds that are served in more versions than they are stored in: functions both ways. Source: the conversions of kubernetes 1.36. */
import { apiVersionOf, type Resource } from '#api-kube/resource.ts';
import type { KubeObject } from './object.ts';
import type { Convert } from './registry.ts';

export function conversionOf(
  resource: Resource,
): { readonly toStored: Convert; readonly toServed: Convert } | undefined {
  if (resource.storedAs === undefined) return undefined;
  const stored = apiVersionOf(resource.storedAs);
  const served = apiVersionOf(resource);
  const [toStored, toServed] = byResource[`${resource.resource}.${resource.group}/${resource.version}`] ?? [same, same];
  return {
    toStored: (object) => ({ ...toStored(object), apiVersion: stored }),
    toServed: (object) => ({ ...toServed(object), apiVersion: served }),
  };
}

const same: Convert = (object) => object;

/** Fields of events.k8s.io/v1 and their names in the core group. */
const eventFields = [
  ['note', 'message'],
  ['regarding', 'involvedObject'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
  ['reportingController', 'reportingComponent'],
] as const;

function renamed(object: KubeObject, names: readonly (readonly [from: string, to: string])[]): KubeObject {
  const map = new Map(names);
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [map.get(key) ?? key, value]),
  ) as unknown as KubeObject;
}

interface Scaled {
  readonly targetCPUUtilizationPercentage?: number;
  readonly metrics?: readonly Metric[];
}

interface Metric {
  readonly type?: string;
  readonly resource?: {
    readonly name?: string;
    readonly target?: { readonly type?: string; readonly averageUtilization?: number };
    readonly current?: { readonly averageUtilization?: number };
  };
}

const isCpu = ({ type, resource }: Metric) => type === 'Resource' && resource?.name === 'cpu';

/** autoscaling/v1 knows one metric, the share of cpu. Others keep to the object in v2 and are not shown. */
function scalerToStored(object: KubeObject): KubeObject {
  const { targetCPUUtilizationPercentage: percent, ...spec } = (object['spec'] ?? {}) as Scaled;
  const metric = {
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
  };
  const { currentCPUUtilizationPercentage: current, ...status } = (object['status'] ?? {}) as {
    currentCPUUtilizationPercentage?: number;
  };
  return {
    ...object,
    spec: { ...spec, ...(percent !== undefined && { metrics: [metric] }) },
    status: {
      ...status,
      ...(current !== undefined && {
        currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: current } } }],
      }),
    },
  };
}

function scalerToServed(object: KubeObject): KubeObject {
  const { metrics = [], ...spec } = (object['spec'] ?? {}) as Scaled;
  const percent = metrics.find(isCpu)?.resource?.target?.averageUtilization;
  const { currentMetrics = [], ...status } = (object['status'] ?? {}) as { currentMetrics?: readonly Metric[] };
  const current = currentMetrics.find(isCpu)?.resource?.current?.averageUtilization;
  return {
    ...object,
    spec: { ...spec, ...(percent !== undefined && { targetCPUUtilizationPercentage: percent }) },
    status: { ...status, ...(current !== undefined && { currentCPUUtilizationPercentage: current }) },
  };
}

const byResource: Readonly<Record<string, readonly [toStored: Convert, toServed: Convert]>> = {
  'events.events.k8s.io/v1': [
    (object) => renamed(object, eventFields),
    (object) =>
      renamed(
        object,
        eventFields.map(([from, to]) => [to, from] as const),
      ),
  ],
  'horizontalpodautoscalers.autoscaling/v1': [scalerToStored, scalerToServed],
};
