/** Pod templates inside other objects: labels, annotations, the pod's spec, and what only pods may have. Source: pkg/apis/core/validation. */
import { type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { type LabelSelector, matches, type Selector, selectorOf } from '#kube-machinery/label-selector.ts';
import { type Fields, list, record } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { validateLabels } from './metadata.ts';
import { validatePodSpec } from './pod-spec.ts';

export type Labels = Readonly<Record<string, string>>;

export function labelsOf(template: Fields | undefined): Labels {
  return (record(template?.['metadata'])?.['labels'] ?? {}) as Labels;
}

export function validatePodTemplate(template: Fields, at: string, errors: FieldError[]): void {
  // Upstream leaves `metadata` out of this path.
  errors.push(...validateLabels(labelsOf(template), `${at}.labels`));
  const spec = record(template['spec']) ?? {};
  errors.push(...validatePodSpec(spec, `${at}.spec`));
  if (list(spec['ephemeralContainers']).length > 0)
    errors.push(forbidden(`${at}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
}

/** A template of pods that are kept running. @param owner as the message names it */
export function validateRunningTemplate(
  template: Fields | undefined,
  selector: Selector,
  at: string,
  owner: string,
  errors: FieldError[],
): void {
  if (template === undefined) {
    errors.push(required(at));
    return;
  }
  if (selector.length > 0) validateMatch(template, selector, at, errors);
  validatePodTemplate(template, at, errors);
  validateAlwaysRunning(template, at, owner, errors);
}

export function validateMatch(
  template: Fields | undefined,
  selector: Selector,
  at: string,
  errors: FieldError[],
): void {
  const labels = labelsOf(template);
  if (!matches(selector, labels))
    errors.push(invalid(`${at}.metadata.labels`, labels, '`selector` does not match template `labels`'));
}

export function validateAlwaysRunning(template: Fields, at: string, owner: string, errors: FieldError[]): void {
  const spec = record(template['spec']) ?? {};
  if (spec['restartPolicy'] !== 'Always')
    errors.push(notSupported(`${at}.spec.restartPolicy`, spec['restartPolicy'], ['Always']));
  if (spec['activeDeadlineSeconds'] !== undefined)
    errors.push(forbidden(`${at}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${owner} is not Supported`));
}

/** Undefined where the selector is none at all: whoever validates it has told why. */
export function compiled(selector: unknown): Selector | undefined {
  const errors: FieldError[] = [];
  validateLabelSelector((selector ?? {}) as Fields, '', errors);
  return errors.length > 0 ? undefined : selectorOf((selector ?? {}) as LabelSelector);
}
