/** Defaults of the kinds that keep pods running. Source: pkg/apis/apps/v1/defaults.go, pkg/apis/core/v1/defaults.go. */
import type { KubeObject } from '../object.ts';
import { defaultTemplate } from './pod.ts';
import { under, underZero } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;

const specDefaults: Readonly<Record<string, Fields>> = {
  Deployment: { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 },
  ReplicaSet: { replicas: 1 },
  ReplicationController: { replicas: 1 },
  DaemonSet: { revisionHistoryLimit: 10 },
  StatefulSet: { replicas: 1, revisionHistoryLimit: 10 },
};

export function defaultWorkload(object: KubeObject): KubeObject {
  const spec = under(specDefaults[object.kind]!, object['spec']) as Fields;
  return {
    ...object,
    spec: { ...spec, ...template(object.kind, spec['template']), ...particular(object.kind, spec) },
  };
}

/** Only a replication controller may be without one until it is validated. */
function template(kind: string, given: unknown): Fields {
  return kind === 'ReplicationController' && given === undefined ? {} : { template: defaultTemplate(given) };
}

function particular(kind: string, spec: Fields): Fields {
  switch (kind) {
    case 'Deployment': {
      const strategy = underZero({ type: 'RollingUpdate' }, spec['strategy']) as Fields;
      if (strategy['type'] !== 'RollingUpdate') return { strategy };
      const rollingUpdate = under({ maxUnavailable: '25%', maxSurge: '25%' }, strategy['rollingUpdate']);
      return { strategy: { ...strategy, rollingUpdate } };
    }
    case 'DaemonSet': {
      const updateStrategy = underZero({ type: 'RollingUpdate' }, spec['updateStrategy']) as Fields;
      if (updateStrategy['type'] !== 'RollingUpdate') return { updateStrategy };
      const rollingUpdate = under({ maxUnavailable: 1, maxSurge: 0 }, updateStrategy['rollingUpdate']);
      return { updateStrategy: { ...updateStrategy, rollingUpdate } };
    }
    case 'StatefulSet': {
      const updateStrategy = underZero({ type: 'RollingUpdate' }, spec['updateStrategy']) as Fields;
      const policy = underZero(
        { whenDeleted: 'Retain', whenScaled: 'Retain' },
        spec['persistentVolumeClaimRetentionPolicy'],
      );
      const common = {
        serviceName: spec['serviceName'] ?? '',
        podManagementPolicy: spec['podManagementPolicy'] || 'OrderedReady',
        persistentVolumeClaimRetentionPolicy: policy,
      };
      // Who names the type gets no numbers beside it.
      const named = ((spec['updateStrategy'] ?? {}) as Fields)['type'];
      if (updateStrategy['type'] !== 'RollingUpdate' || (named && updateStrategy['rollingUpdate'] === undefined))
        return { ...common, updateStrategy };
      const rollingUpdate = under({ partition: 0 }, updateStrategy['rollingUpdate']);
      return { ...common, updateStrategy: { ...updateStrategy, rollingUpdate } };
    }
    case 'ReplicationController': {
      // The template's labels stand for the selector.
      const labels = ((spec['template'] as Fields | undefined)?.['metadata'] as Fields | undefined)?.['labels'];
      return spec['selector'] === undefined && labels !== undefined ? { selector: labels } : {};
    }
    default:
      return {};
  }
}
