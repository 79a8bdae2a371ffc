/** How workloads replace their pods: numbers and percentages. Source: pkg/apis/apps/validation. */
import { type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { choose, type Fields, nonNegative, record, text } from './fields.ts';

const percentMessage =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/** A count of pods, or a share of them. */
export function validateShare(errors: FieldError[], at: string, value: unknown): void {
  if (typeof value === 'string') {
    if (!/^[0-9]+%$/.test(value)) errors.push(invalid(at, value, percentMessage));
  } else nonNegative(errors, at, value);
}

export function atMostAll(errors: FieldError[], at: string, value: unknown): void {
  const percent = typeof value === 'string' ? /^([0-9]+)%$/.exec(value) : null;
  if (percent !== null && Number(percent[1]) > 100) errors.push(invalid(at, value, 'must not be greater than 100%'));
}

/** As messages show a strategy that is none: upstream's internal record. */
const internalForm = (strategy: Fields) => ({ Type: text(strategy['type']), RollingUpdate: null });

/** Zero, as a number or as a percentage. */
const isZero = (value: unknown) => value === undefined || value === 0 || /^0+%$/.test(String(value));

export function validateDeploymentStrategy(strategy: Fields, at: string, errors: FieldError[]): void {
  const rolling = record(strategy['rollingUpdate']);
  const here = `${at}.rollingUpdate`;
  switch (strategy['type']) {
    case 'Recreate':
      if (rolling !== undefined)
        errors.push(forbidden(here, "may not be specified when strategy `type` is 'Recreate'"));
      return;
    case 'RollingUpdate': {
      if (rolling === undefined) {
        errors.push(required(here, 'this should be defaulted and never be nil'));
        return;
      }
      const { maxUnavailable, maxSurge } = rolling;
      validateShare(errors, `${here}.maxUnavailable`, maxUnavailable);
      validateShare(errors, `${here}.maxSurge`, maxSurge);
      if (isZero(maxUnavailable) && isZero(maxSurge))
        errors.push(invalid(`${here}.maxUnavailable`, maxUnavailable ?? 0, 'may not be 0 when `maxSurge` is 0'));
      atMostAll(errors, `${here}.maxUnavailable`, maxUnavailable);
      return;
    }
    default:
      errors.push(notSupported(at, internalForm(strategy), ['Recreate', 'RollingUpdate']));
  }
}

export function validateDaemonSetStrategy(strategy: Fields, at: string, errors: FieldError[]): void {
  if (strategy['type'] === 'OnDelete') return;
  if (strategy['type'] !== 'RollingUpdate') {
    errors.push(notSupported(at, internalForm(strategy), ['RollingUpdate', 'OnDelete']));
    return;
  }
  const here = `${at}.rollingUpdate`;
  const rolling = record(strategy['rollingUpdate']);
  if (rolling === undefined) {
    errors.push(required(here));
    return;
  }
  const { maxUnavailable, maxSurge } = rolling;
  if (!isZero(maxUnavailable) && !isZero(maxSurge))
    errors.push(invalid(`${here}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'));
  if (isZero(maxUnavailable) && isZero(maxSurge))
    errors.push(required(`${here}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  for (const [field, value] of [
    ['maxUnavailable', maxUnavailable],
    ['maxSurge', maxSurge],
  ] as const) {
    validateShare(errors, `${here}.${field}`, value);
    atMostAll(errors, `${here}.${field}`, value);
  }
}

export function validateStatefulSetStrategy(spec: Fields, errors: FieldError[]): void {
  const management = text(spec['podManagementPolicy']);
  if (management === '') errors.push(required('spec.podManagementPolicy'));
  else if (management !== 'OrderedReady' && management !== 'Parallel')
    errors.push(invalid('spec.podManagementPolicy', management, "must be 'OrderedReady' or 'Parallel'"));
  const strategy = record(spec['updateStrategy']) ?? {};
  const rolling = record(strategy['rollingUpdate']);
  switch (text(strategy['type'])) {
    case '':
      errors.push(required('spec.updateStrategy'));
      break;
    case 'OnDelete':
      if (rolling !== undefined)
        errors.push(
          invalid('spec.updateStrategy.rollingUpdate', rolling, "only allowed for updateStrategy 'RollingUpdate'"),
        );
      break;
    case 'RollingUpdate':
      nonNegative(errors, 'spec.updateStrategy.rollingUpdate.partition', rolling?.['partition']);
      if (rolling?.['maxUnavailable'] !== undefined) {
        const at = 'spec.updateStrategy.rollingUpdate.maxUnavailable';
        validateShare(errors, at, rolling['maxUnavailable']);
        if (isZero(rolling['maxUnavailable'])) errors.push(invalid(at, rolling['maxUnavailable'], 'cannot be 0'));
        atMostAll(errors, at, rolling['maxUnavailable']);
      }
      break;
    default:
      errors.push(invalid('spec.updateStrategy', internalForm(strategy), "must be 'RollingUpdate' or 'OnDelete'"));
  }
  const retention = record(spec['persistentVolumeClaimRetentionPolicy']);
  for (const field of ['whenDeleted', 'whenScaled'])
    if (retention !== undefined)
      choose(errors, `spec.persistentVolumeClaimRetentionPolicy.${field}`, retention[field], ['Retain', 'Delete']);
}
