/** Deployments, replica sets, daemon sets, stateful sets: selector, template and numbers. Source: pkg/apis/apps/validation. */
import { type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import {
  type LabelSelector,
  matches,
  type Selector,
  SelectorError,
  selectorOf,
} from '#kube-machinery/label-selector.ts';
import type { KubeObject } from '../object.ts';
import { validateLabels } from './metadata.ts';
import { validatePodSpec } from './pod-spec.ts';

interface Spec {
  readonly replicas?: number;
  readonly minReadySeconds?: number;
  readonly revisionHistoryLimit?: number;
  readonly progressDeadlineSeconds?: number;
  readonly selector?: LabelSelector;
  readonly strategy?: {
    readonly type?: string;
    readonly rollingUpdate?: { readonly maxSurge?: number | string; readonly maxUnavailable?: number | string };
  };
  readonly template?: {
    readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
    readonly spec?: Readonly<Record<string, unknown>>;
  };
}

export function validateWorkload(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Spec;
  const errors: FieldError[] = [];
  const nonNegative = (field: 'replicas' | 'minReadySeconds' | 'revisionHistoryLimit' | 'progressDeadlineSeconds') => {
    const value = spec[field];
    if (value !== undefined && value < 0)
      errors.push(invalid(`spec.${field}`, value, 'must be greater than or equal to 0'));
  };
  nonNegative('replicas');
  const controller = object.kind === 'ReplicationController';
  let selector: Selector | undefined;
  if (controller) {
    const map = (spec.selector ?? {}) as unknown as Readonly<Record<string, string>>;
    if (Object.keys(map).length === 0) errors.push(required('spec.selector'));
    else selector = selectorOf({ matchLabels: map });
  } else if (spec.selector === undefined) errors.push(required('spec.selector'));
  else {
    try {
      selector = selectorOf(spec.selector);
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      errors.push(invalid('spec.selector', spec.selector, error.message));
    }
    errors.push(...validateLabels(spec.selector.matchLabels, 'spec.selector.matchLabels'));
    if (selector?.length === 0)
      errors.push(invalid('spec.selector', spec.selector, `empty selector is invalid for ${kindName(object.kind)}`));
  }
  if (spec.template === undefined) errors.push(required('spec.template'));
  else {
    const labels = spec.template.metadata?.labels;
    if (selector !== undefined && selector.length > 0 && !matches(selector, labels))
      errors.push(
        invalid('spec.template.metadata.labels', labels ?? {}, '`selector` does not match template `labels`'),
      );
    errors.push(...validateLabels(labels, 'spec.template.metadata.labels'));
    const podSpec = spec.template.spec ?? {};
    errors.push(...validatePodSpec(podSpec, 'spec.template.spec'));
    if (Array.isArray(podSpec['ephemeralContainers']) && podSpec['ephemeralContainers'].length > 0)
      errors.push(
        forbidden('spec.template.spec.ephemeralContainers', 'ephemeral containers not allowed in pod template'),
      );
    if (podSpec['restartPolicy'] !== 'Always')
      errors.push(notSupported('spec.template.spec.restartPolicy', podSpec['restartPolicy'], ['Always']));
    if (podSpec['activeDeadlineSeconds'] !== undefined)
      errors.push(
        forbidden(
          'spec.template.spec.activeDeadlineSeconds',
          `activeDeadlineSeconds in ${object.kind} is not Supported`,
        ),
      );
  }
  nonNegative('minReadySeconds');
  nonNegative('revisionHistoryLimit');
  nonNegative('progressDeadlineSeconds');
  if (object.kind === 'Deployment') errors.push(...validateStrategy(spec));
  return errors;
}

function kindName(kind: string): string {
  return kind === 'Deployment'
    ? 'deployment'
    : kind === 'StatefulSet'
      ? 'statefulset'
      : kind === 'DaemonSet'
        ? 'daemonset'
        : 'label selector';
}

function validateStrategy({ strategy, progressDeadlineSeconds, minReadySeconds = 0 }: Spec): FieldError[] {
  const errors: FieldError[] = [];
  if (
    progressDeadlineSeconds !== undefined &&
    progressDeadlineSeconds <= minReadySeconds &&
    progressDeadlineSeconds >= 0
  )
    errors.push(
      invalid('spec.progressDeadlineSeconds', progressDeadlineSeconds, 'must be greater than minReadySeconds'),
    );
  if (strategy?.type === 'Recreate') {
    if (strategy.rollingUpdate !== undefined)
      errors.push(forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'"));
    return errors;
  }
  if (strategy?.type !== 'RollingUpdate') {
    errors.push(notSupported('spec.strategy', strategy?.type, ['Recreate', 'RollingUpdate']));
    return errors;
  }
  const { maxSurge = 0, maxUnavailable = 0 } = strategy.rollingUpdate ?? {};
  for (const [field, value] of [
    ['maxUnavailable', maxUnavailable],
    ['maxSurge', maxSurge],
  ] as const) {
    const at = `spec.strategy.rollingUpdate.${field}`;
    if (typeof value === 'number') {
      if (value < 0) errors.push(invalid(at, value, 'must be greater than or equal to 0'));
    } else if (!/^\d+%$/.test(value))
      errors.push(
        invalid(
          at,
          value,
          "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
      );
  }
  const zero = (value: number | string) => value === 0 || value === '0%';
  if (zero(maxSurge) && zero(maxUnavailable))
    errors.push(
      invalid('spec.strategy.rollingUpdate.maxUnavailable', maxUnavailable, 'may not be 0 when `maxSurge` is 0'),
    );
  return errors;
}

export function validateWorkloadUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateWorkload(object);
  const selector = (object['spec'] as Spec | undefined)?.selector;
  if (!equal(selector, (old['spec'] as Spec | undefined)?.selector))
    errors.push(invalid('spec.selector', selector, 'field is immutable'));
  return errors;
}
