/** A pod's priority is its class's. Source: plugin Priority. */

import { invalid } from '#kube-machinery/field-error.ts';
import { forbiddenError, invalidError } from '#kube-machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { isPodCreate, specOf } from './pods.ts';

const classes = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };

const isClass = ({ resource, operation }: AdmissionRequest) =>
  resource.resource === 'priorityclasses' && (operation === 'CREATE' || operation === 'UPDATE');

export function priority(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'Priority',
    handles: (request) => isPodCreate(request) || isClass(request),
    mutate(request) {
      if (isClass(request)) return request.object;
      const pod = request.object!;
      const spec = specOf(request);
      const name = spec['priorityClassName'] as string | undefined;
      let value = 0;
      let policy = 'PreemptLowerPriority';
      let className = name;
      const found = name ? reader.get(classes, '', name) : defaultClass(reader);
      if (name && found === undefined)
        throw forbiddenError(
          { group: '', resource: 'pods' },
          request.name,
          `no PriorityClass with name ${name} was found`,
        );
      if (found !== undefined) {
        value = (found['value'] as number | undefined) ?? 0;
        policy = (found['preemptionPolicy'] as string | undefined) ?? policy;
        className = found.metadata.name;
      }
      const given = spec['priority'] as number | undefined;
      if (given !== undefined && given !== value)
        throw forbiddenError(
          { group: '', resource: 'pods' },
          request.name,
          `the integer value of priority (${given}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
        );
      return {
        ...pod,
        spec: {
          ...spec,
          ...(className && { priorityClassName: className }),
          priority: value,
          preemptionPolicy: spec['preemptionPolicy'] ?? policy,
        },
      };
    },
    validate(request) {
      if (!isClass(request) || request.object?.['globalDefault'] !== true) return;
      const other = defaultClass(reader);
      if (other === undefined || other.metadata.name === request.object.metadata.name) return;
      throw invalidError('scheduling.k8s.io', 'PriorityClass', request.name, [
        invalid(
          'globalDefault',
          true,
          `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
        ),
      ]);
    },
  };
}

/** Of several, the one that promises least. */
function defaultClass(reader: ObjectReader): KubeObject | undefined {
  let found: KubeObject | undefined;
  for (const object of reader.list(classes))
    if (
      object['globalDefault'] === true &&
      (found === undefined || (object['value'] as number) < (found['value'] as number))
    )
      found = object;
  return found;
}
