/** Defaults of the small kinds of the core group. Source: pkg/apis/core/v1/defaults.go. */
import type { KubeObject } from '../object.ts';
import { defaultTemplate } from './pod.ts';
import { under, underZero } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;

export function defaultCore(object: KubeObject): KubeObject {
  const spec = (object['spec'] ?? {}) as Fields;
  switch (object.kind) {
    case 'Namespace': {
      const { name } = object.metadata;
      if (!name) return object;
      // Selectors of namespaces rely on this label.
      const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': name };
      return { ...object, metadata: { ...object.metadata, labels } };
    }
    case 'Secret':
      return { ...object, type: object['type'] || 'Opaque' };
    case 'PersistentVolumeClaim':
      return {
        ...object,
        spec: under({ volumeMode: 'Filesystem' }, spec),
        status: under({ phase: 'Pending' }, object['status']),
      };
    case 'PersistentVolume':
      return {
        ...object,
        spec: under({ persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' }, spec),
        status: under({ phase: 'Pending' }, object['status']),
      };
    case 'PodTemplate':
      return { ...object, template: defaultTemplate(object['template']) };
    case 'Endpoints': {
      const subsets = object['subsets'];
      if (!Array.isArray(subsets)) return object;
      return {
        ...object,
        subsets: subsets.map((subset: Fields) => ({
          ...subset,
          ...(Array.isArray(subset['ports']) && {
            ports: subset['ports'].map((port: Fields) => underZero({ protocol: 'TCP' }, port)),
          }),
        })),
      };
    }
    case 'LimitRange': {
      const limits = spec['limits'];
      if (!Array.isArray(limits)) return object;
      return { ...object, spec: { ...spec, limits: limits.map(defaultLimit) } };
    }
    default:
      return object;
  }
}

/** A container's defaults follow from its bounds. */
function defaultLimit(limit: Fields): Fields {
  if (limit['type'] !== 'Container') return limit;
  const max = limit['max'] as Fields | undefined;
  const min = limit['min'] as Fields | undefined;
  const standard = max === undefined ? limit['default'] : under(max, limit['default']);
  const request = { ...min, ...(standard as Fields | undefined), ...(limit['defaultRequest'] as Fields | undefined) };
  return {
    ...limit,
    ...(standard !== undefined && { default: standard }),
    ...(Object.keys(request).length > 0 && { defaultRequest: request }),
  };
}
