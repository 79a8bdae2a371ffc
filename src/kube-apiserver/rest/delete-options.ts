/** Options of deletes, from the body if there is one, else from the query. Source: meta/v1 DeleteOptions and ValidateDeleteOptions. */

import { builtInTypes } from '#kube-machinery/built-in-schemas.ts';
import { type FieldError, invalid, notSupported } from '#kube-machinery/field-error.ts';
import { DecodeProblem, decode } from '#kube-machinery/schema.ts';
import { badRequestError, invalidError, StatusError } from '#kube-machinery/status.ts';
import { header } from '#transport/http.ts';
import { isTrue } from '../request-info.ts';
import type { DeleteOptions } from '../strategy.ts';
import { parseBody, readBody } from './body.ts';
import { dryRunErrors, integerOf } from './options.ts';
import type { RestScope } from './scope.ts';

const policies = ['Foreground', 'Background', 'Orphan'];
const schema = builtInTypes.get('meta/v1.DeleteOptions')!;

/** @throws StatusError BadRequest, Invalid */
export async function deleteOptionsOf({ request, info }: RestScope): Promise<DeleteOptions> {
  const body = await readBody(request);
  const { query } = info;
  const dryRun = query.has('dryRun') && { dryRun: query.getAll('dryRun') };
  if (body.length > 0) {
    const { value } = parseBody(body, header(request.headers, 'content-type'), 'DeleteOptions');
    return checkedDeleteOptions({ ...dryRun, ...decodeDeleteOptions(value) });
  }
  const grace = integerOf(query, 'gracePeriodSeconds');
  return checkedDeleteOptions({
    ...dryRun,
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(query.has('propagationPolicy') && { propagationPolicy: query.get('propagationPolicy')! }),
    ...(query.has('orphanDependents') && { orphanDependents: isTrue(query.get('orphanDependents')) }),
  });
}

/** @param value of a body, or of a field of one. @throws StatusError BadRequest */
export function decodeDeleteOptions(value: unknown): DeleteOptions {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badRequestError('the body is not DeleteOptions');
  const { kind } = value as { kind?: unknown };
  if (kind !== undefined && kind !== 'DeleteOptions')
    throw badRequestError(`decoded object cannot be converted to DeleteOptions: ${String(kind)}`);
  try {
    return decode(schema, value, { mode: 'Ignore', warn: () => {}, kind: 'DeleteOptions', version: 'v1' });
  } catch (error) {
    if (!(error instanceof StatusError && error.cause instanceof DecodeProblem)) throw error;
    throw badRequestError(error.cause.message);
  }
}

/** What may stand in them; a grace period of less than nothing is a second. @throws StatusError Invalid */
export function checkedDeleteOptions(options: DeleteOptions): DeleteOptions {
  const { propagationPolicy: policy, orphanDependents, dryRun = [], gracePeriodSeconds } = options;
  const errors: FieldError[] = [];
  if (policy !== undefined && orphanDependents !== undefined)
    errors.push(invalid('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'));
  if (policy !== undefined && !policies.includes(policy))
    errors.push(notSupported('propagationPolicy', policy, [...policies, 'nil']));
  errors.push(...dryRunErrors(dryRun));
  if (errors.length > 0) throw invalidError('meta.k8s.io', 'DeleteOptions', '', errors);
  return gracePeriodSeconds !== undefined && gracePeriodSeconds < 0 ? { ...options, gracePeriodSeconds: 1 } : options;
}
