/** Deployments, replica sets, daemon sets, stateful sets, replication controllers. Checks stand in upstream's order. Source: pkg/apis/apps/validation. */
import { type FieldError, forbidden, invalid, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import type { KubeObject } from '../object.ts';
import { type Fields, nonNegative, record } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import {
  compiled,
  validateAlwaysRunning,
  validateMatch,
  validatePodTemplate,
  validateRunningTemplate,
} from './pod-template.ts';
import { validateDaemonSetStrategy, validateDeploymentStrategy, validateStatefulSetStrategy } from './rollout.ts';

const at = 'spec.template';

export function validateWorkload(object: KubeObject): FieldError[] {
  const spec = record(object['spec']) ?? {};
  const errors: FieldError[] = [];
  switch (object.kind) {
    case 'Deployment':
      validateDeployment(spec, errors);
      break;
    case 'ReplicaSet':
      nonNegative(errors, 'spec.replicas', spec['replicas']);
      nonNegative(errors, 'spec.minReadySeconds', spec['minReadySeconds']);
      // Upstream's message names the other kind, and its template belongs to it.
      validateSelected(spec, 'deployment', 'ReplicaSet', errors);
      break;
    case 'DaemonSet':
      validateDaemonSet(spec, errors);
      break;
    case 'StatefulSet':
      validateStatefulSetStrategy(spec, errors);
      nonNegative(errors, 'spec.replicas', spec['replicas']);
      nonNegative(errors, 'spec.minReadySeconds', spec['minReadySeconds']);
      nonNegative(errors, 'spec.ordinals.start', record(spec['ordinals'])?.['start']);
      validateSelected(spec, 'statefulset', 'StatefulSet', errors);
      nonNegative(errors, 'spec.revisionHistoryLimit', spec['revisionHistoryLimit']);
      break;
    default:
      validateReplicationController(spec, errors);
  }
  return errors;
}

function validateDeployment(spec: Fields, errors: FieldError[]): void {
  nonNegative(errors, 'spec.replicas', spec['replicas']);
  validateSelected(spec, 'deployment', 'ReplicaSet', errors);
  validateDeploymentStrategy(record(spec['strategy']) ?? {}, 'spec.strategy', errors);
  nonNegative(errors, 'spec.minReadySeconds', spec['minReadySeconds']);
  nonNegative(errors, 'spec.revisionHistoryLimit', spec['revisionHistoryLimit']);
  const deadline = spec['progressDeadlineSeconds'] as number | undefined;
  if (deadline === undefined) return;
  nonNegative(errors, 'spec.progressDeadlineSeconds', deadline);
  if (deadline <= ((spec['minReadySeconds'] ?? 0) as number))
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
}

function validateDaemonSet(spec: Fields, errors: FieldError[]): void {
  const selector = record(spec['selector']);
  const template = record(spec['template']);
  if (selector !== undefined) validateLabelSelector(selector, 'spec.selector', errors);
  const matcher = compiled(selector);
  if (matcher !== undefined && matcher.length > 0) validateMatch(template, matcher, at, errors);
  if (selector === undefined) errors.push(required('spec.selector'));
  else if (matcher?.length === 0)
    errors.push(invalid('spec.selector', selector, 'empty selector is invalid for daemonset'));
  validatePodTemplate(template ?? {}, at, errors);
  validateAlwaysRunning(template ?? {}, at, 'DaemonSet', errors);
  nonNegative(errors, 'spec.minReadySeconds', spec['minReadySeconds']);
  validateDaemonSetStrategy(record(spec['updateStrategy']) ?? {}, 'spec.updateStrategy', errors);
  nonNegative(errors, 'spec.revisionHistoryLimit', spec['revisionHistoryLimit']);
}

/** @param kind as the message about an empty selector names it @param owner as the one about templates does */
function validateSelected(spec: Fields, kind: string, owner: string, errors: FieldError[]): void {
  const selector = record(spec['selector']);
  if (selector === undefined) errors.push(required('spec.selector'));
  else validateLabelSelector(selector, 'spec.selector', errors);
  const matcher = compiled(selector);
  if (selector !== undefined && matcher?.length === 0)
    errors.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`));
  if (matcher === undefined) errors.push(invalid('spec.selector', selector, 'invalid label selector'));
  else validateRunningTemplate(record(spec['template']), matcher, at, owner, errors);
}

function validateReplicationController(spec: Fields, errors: FieldError[]): void {
  nonNegative(errors, 'spec.minReadySeconds', spec['minReadySeconds']);
  const map = (spec['selector'] ?? {}) as Readonly<Record<string, string>>;
  if (Object.keys(map).length === 0) errors.push(required('spec.selector'));
  nonNegative(errors, 'spec.replicas', spec['replicas']);
  const matcher = compiled({ matchLabels: map }) ?? [];
  validateRunningTemplate(record(spec['template']), matcher, at, 'ReplicationController', errors);
}

const statefulSetMayChange = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

export function validateWorkloadUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateWorkload(object);
  const spec = record(object['spec']) ?? {};
  const before = record(old['spec']) ?? {};
  if (object.kind === 'StatefulSet') {
    const fixed = (fields: Fields) =>
      Object.fromEntries(Object.entries(fields).filter(([name]) => !statefulSetMayChange.includes(name)));
    if (!equal(fixed(spec), fixed(before)))
      errors.push(
        forbidden(
          'spec',
          "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ),
      );
  } else if (!equal(spec['selector'], before['selector']))
    errors.push(invalid('spec.selector', spec['selector'] ?? null, 'field is immutable'));
  return errors;
}
