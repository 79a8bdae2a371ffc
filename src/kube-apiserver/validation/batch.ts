/** Jobs and cron jobs. Source: pkg/apis/batch/validation. */
import { type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import type { KubeObject } from '../object.ts';
import { choose, type Fields, nonNegative, record, text } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { compiled, validateMatch, validatePodTemplate } from './pod-template.ts';
import { timeZoneProblem } from './time-zones.ts';

/** A cron job adds eleven characters to its name for each job. */
const cronJobNameMax = 52;

export function validateJob(job: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(job['spec']) ?? {};
  const selector = record(spec['selector']);
  validateJobSpec(spec, 'spec', errors);
  if (selector === undefined) errors.push(required('spec.selector'));
  else {
    validateLabelSelector(selector, 'spec.selector', errors);
    const matcher = compiled(selector);
    if (matcher !== undefined) validateMatch(record(spec['template']), matcher, 'spec.template', errors);
  }
  return errors;
}

function validateJobSpec(spec: Fields, at: string, errors: FieldError[]): void {
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ])
    nonNegative(errors, `${at}.${field}`, spec[field]);
  const mode = spec['completionMode'];
  if (mode !== undefined) {
    if (mode !== 'NonIndexed' && mode !== 'Indexed')
      errors.push(notSupported(`${at}.completionMode`, mode, ['NonIndexed', 'Indexed']));
    if (mode === 'Indexed' && spec['completions'] === undefined)
      errors.push(required(`${at}.completions`, 'when completion mode is Indexed'));
  }
  if (spec['backoffLimitPerIndex'] !== undefined && mode !== 'Indexed')
    errors.push(
      invalid(`${at}.backoffLimitPerIndex`, spec['backoffLimitPerIndex'], 'requires indexed completion mode'),
    );
  const template = record(spec['template']) ?? {};
  validatePodTemplate(template, `${at}.template`, errors);
  // Pods restart always by default, which is no way for a job: its user must choose.
  const restart = text(record(template['spec'])?.['restartPolicy']);
  const here = `${at}.template.spec.restartPolicy`;
  if (restart === '' || restart === 'Always') errors.push(required(here, 'valid values: "OnFailure", "Never"'));
  else if (restart !== 'OnFailure' && restart !== 'Never')
    errors.push(notSupported(here, restart, ['OnFailure', 'Never']));
  else if (spec['podFailurePolicy'] !== undefined && restart !== 'Never')
    errors.push(invalid(here, restart, 'only "Never" is supported when podFailurePolicy is specified'));
}

export function validateJobUpdate(job: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(job['spec']) ?? {};
  const before = record(old['spec']) ?? {};
  validateJobSpec(spec, 'spec', errors);
  // A suspended job that has not begun may still be told where to run.
  const mayMove = before['suspend'] === true && record(old['status'])?.['startTime'] === undefined;
  const fixed = (template: unknown) => (mayMove ? withoutPlacement(record(template) ?? {}) : template);
  const immutable = (field: string, same: boolean) => {
    if (!same) errors.push(invalid(`spec.${field}`, spec[field] ?? null, 'field is immutable'));
  };
  const elastic = spec['completionMode'] === 'Indexed' && spec['completions'] === spec['parallelism'];
  immutable('completions', elastic || equal(spec['completions'], before['completions']));
  immutable('selector', equal(spec['selector'], before['selector']));
  immutable('template', equal(fixed(spec['template']), fixed(before['template'])));
  immutable('completionMode', equal(spec['completionMode'], before['completionMode']));
  immutable('podFailurePolicy', equal(spec['podFailurePolicy'], before['podFailurePolicy']));
  immutable('backoffLimitPerIndex', equal(spec['backoffLimitPerIndex'], before['backoffLimitPerIndex']));
  immutable('managedBy', equal(spec['managedBy'], before['managedBy']));
  return errors;
}

function withoutPlacement(template: Fields): Fields {
  const { metadata: _, ...rest } = template;
  const {
    affinity: _a,
    nodeSelector: _n,
    tolerations: _t,
    schedulingGates: _g,
    ...spec
  } = (record(template['spec']) ?? {}) as Record<string, unknown>;
  return { ...rest, spec };
}

export function validateCronJob(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(object['spec']) ?? {};
  const schedule = text(spec['schedule']);
  if (schedule === '') errors.push(required('spec.schedule'));
  else {
    const fields = schedule.trim().split(/\s+/);
    if (/TZ/.test(schedule))
      errors.push(
        invalid('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
      );
    else if (!schedule.startsWith('@') && fields.length !== 5)
      errors.push(
        invalid('spec.schedule', schedule, `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`),
      );
  }
  validateTimeZone(errors, spec['timeZone'] as string | undefined);
  nonNegative(errors, 'spec.startingDeadlineSeconds', spec['startingDeadlineSeconds']);
  choose(errors, 'spec.concurrencyPolicy', spec['concurrencyPolicy'], ['Allow', 'Forbid', 'Replace']);
  validateJobSpec(record(record(spec['jobTemplate'])?.['spec']) ?? {}, 'spec.jobTemplate.spec', errors);
  nonNegative(errors, 'spec.successfulJobsHistoryLimit', spec['successfulJobsHistoryLimit']);
  nonNegative(errors, 'spec.failedJobsHistoryLimit', spec['failedJobsHistoryLimit']);
  const { name = '' } = object.metadata;
  if (name.length > cronJobNameMax)
    errors.push(invalid('metadata.name', name, `must be no more than ${cronJobNameMax} characters`));
  return errors;
}

/** A zone that was let in once is no reason to refuse the rest. */
export function validateCronJobUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const zoneOf = (job: KubeObject) => record(job['spec'])?.['timeZone'];
  const errors = validateCronJob(object);
  return zoneOf(object) === zoneOf(old) ? errors.filter(({ field }) => field !== zoneField) : errors;
}

const zoneField = 'spec.timeZone';

function validateTimeZone(errors: FieldError[], zone: string | undefined): void {
  const at = zoneField;
  if (zone === undefined) return;
  if (zone === '') {
    errors.push(invalid(at, zone, 'timeZone must be nil or non-empty string'));
    return;
  }
  if (zone.toLowerCase() === 'local')
    errors.push(
      invalid(at, zone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'),
    );
  // Go knows the machine's own zone by this very name.
  const problem = zone === 'Local' ? undefined : timeZoneProblem(zone);
  if (problem !== undefined) errors.push(invalid(at, zone, problem));
}
