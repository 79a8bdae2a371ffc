/** What controllers report of workloads: counts that are counts, and none greater than what it is part of. Source: the status validations of pkg/apis/apps and pkg/apis/core. */
import { type FieldError, invalid } from '#kube-machinery/field-error.ts';
import type { KubeObject } from '../object.ts';
import { type Fields, nonNegative, record } from './fields.ts';

/** Counts of each kind, in upstream's order. */
const counts: Readonly<Record<string, readonly string[]>> = {
  Deployment: [
    'observedGeneration',
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
    'collisionCount',
  ],
  ReplicaSet: ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'],
  ReplicationController: [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'observedGeneration',
  ],
  StatefulSet: [
    'replicas',
    'readyReplicas',
    'currentReplicas',
    'updatedReplicas',
    'availableReplicas',
    'observedGeneration',
    'collisionCount',
  ],
  DaemonSet: [
    'currentNumberScheduled',
    'numberMisscheduled',
    'desiredNumberScheduled',
    'numberReady',
    'observedGeneration',
    'updatedNumberScheduled',
    'numberAvailable',
    'numberUnavailable',
    'collisionCount',
  ],
};

/** Parts of all replicas, in upstream's order. */
const parts: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['updatedReplicas', 'readyReplicas', 'availableReplicas'],
  ReplicaSet: ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'],
  ReplicationController: ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'],
  StatefulSet: ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'],
};

export function validateWorkloadStatus(object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const status = record(object['status']) ?? {};
  const number = (from: Fields, field: string) => (from[field] ?? 0) as number;
  for (const field of counts[object.kind] ?? []) nonNegative(errors, `status.${field}`, status[field]);
  const own = parts[object.kind] ?? [];
  for (const field of own)
    if (number(status, field) > number(status, 'replicas'))
      errors.push(invalid(`status.${field}`, status[field], 'cannot be greater than status.replicas'));
  if (own.length > 0 && number(status, 'availableReplicas') > number(status, 'readyReplicas'))
    errors.push(
      invalid(
        'status.availableReplicas',
        number(status, 'availableReplicas'),
        object.kind === 'StatefulSet'
          ? 'cannot be greater than status.readyReplicas'
          : 'cannot be greater than readyReplicas',
      ),
    );
  const before = record(old['status'])?.['collisionCount'] as number | undefined;
  if (before !== undefined && number(status, 'collisionCount') < before)
    errors.push(invalid('status.collisionCount', number(status, 'collisionCount'), 'cannot be decremented'));
  return errors;
}
