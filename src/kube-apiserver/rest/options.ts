/** Options of the verbs, from the query and, for deletes, the body. Source: meta/v1 ListOptions, DeleteOptions and its siblings. */
import { type FieldError, forbidden, invalid, notSupported, tooLong } from '#kube-machinery/field-error.ts';
import { type FieldRequirement, parseFieldSelector } from '#kube-machinery/field-selector.ts';
import { parseSelector, type Selector, SelectorError } from '#kube-machinery/label-selector.ts';
import { badRequestError, invalidError, StatusError } from '#kube-machinery/status.ts';
import { header } from '#transport/http.ts';
import type { ServedResource } from '../registry.ts';
import { isTrue } from '../request-info.ts';
import type { DeleteOptions } from '../strategy.ts';
import { parseBody, readBody } from './body.ts';
import type { RestScope } from './scope.ts';

export type VersionMatch = 'Exact' | 'NotOlderThan';

export interface ListOptions {
  readonly labels: Selector;
  readonly fields: readonly FieldRequirement[];
  /** Undefined: not given. */
  readonly resourceVersion: number | undefined;
  readonly match: VersionMatch | undefined;
  readonly limit: number;
  readonly continueToken: string;
  readonly timeoutSeconds: number | undefined;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

/** @throws StatusError BadRequest, Invalid */
export function listOptionsOf(query: URLSearchParams, served: ServedResource): ListOptions {
  return {
    labels: labelsOf(query.get('labelSelector') ?? ''),
    fields: fieldsOf(query.get('fieldSelector') ?? '', served),
    resourceVersion: resourceVersionOf(query.get('resourceVersion') ?? ''),
    match: matchOf(query),
    limit: integerOf(query, 'limit') ?? 0,
    continueToken: query.get('continue') ?? '',
    timeoutSeconds: integerOf(query, 'timeoutSeconds'),
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: query.has('sendInitialEvents') ? isTrue(query.get('sendInitialEvents')) : undefined,
  };
}

/** @throws StatusError BadRequest */
export function labelsOf(text: string): Selector {
  try {
    return parseSelector(text);
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    throw badRequestError(error.message);
  }
}

function fieldsOf(text: string, served: ServedResource): readonly FieldRequirement[] {
  const requirements = parseFieldSelector(text);
  for (const { field } of requirements)
    if (!Object.hasOwn(served.selectorFields, field))
      throw badRequestError(
        served.selectorFields['metadata.name'] !== undefined && Object.keys(served.selectorFields).length <= 2
          ? `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
          : `field label not supported: ${field}`,
      );
  return requirements;
}

/** @throws StatusError Invalid */
export function resourceVersionOf(text: string): number | undefined {
  if (text === '') return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw invalidError('meta.k8s.io', 'ListOptions', '', [
    invalid('resourceVersion', text, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`),
  ]);
}

function matchOf(query: URLSearchParams): VersionMatch | undefined {
  const value = query.get('resourceVersionMatch') ?? '';
  const errors = isTrue(query.get('watch')) ? watchErrors(query, value) : listErrors(query, value);
  if (errors.length > 0) throw invalidError('meta.k8s.io', 'ListOptions', '', errors);
  return value === '' ? undefined : (value as VersionMatch);
}

const matchField = 'resourceVersionMatch';
const matchWithContinue = forbidden(matchField, 'resourceVersionMatch is forbidden when continue is provided');

function listErrors(query: URLSearchParams, match: string): FieldError[] {
  const errors: FieldError[] = [];
  const version = query.get('resourceVersion') ?? '';
  if (match !== '') {
    if (version === '')
      errors.push(forbidden(matchField, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
    if ((query.get('continue') ?? '') !== '') errors.push(matchWithContinue);
    if (match !== 'Exact' && match !== 'NotOlderThan')
      errors.push(notSupported(matchField, match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && version === '0')
      errors.push(forbidden(matchField, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  if (query.has('sendInitialEvents'))
    errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  return errors;
}

function watchErrors(query: URLSearchParams, match: string): FieldError[] {
  const errors: FieldError[] = [];
  const initial = query.has('sendInitialEvents');
  if (initial && match !== 'NotOlderThan')
    errors.push(forbidden(matchField, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  if (match === '') return errors;
  if (!initial)
    errors.push(
      forbidden(matchField, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'),
    );
  if (match !== 'NotOlderThan') errors.push(notSupported(matchField, match, ['NotOlderThan']));
  if ((query.get('continue') ?? '') !== '') errors.push(matchWithContinue);
  return errors;
}

/** @throws StatusError BadRequest */
function integerOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text))
    throw badRequestError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

const managerCharactersMax = 128;
const fieldValidations = ['', 'Ignore', 'Strict', 'Warn'];

/**
 * Options of a write, in the query: field manager, dry run, field validation.
 * @param kind `CreateOptions`, `UpdateOptions`, `PatchOptions`
 * @returns whether nothing is to be stored
 * @throws StatusError Invalid
 */
export function writeOptionsOf(query: URLSearchParams, kind: string): boolean {
  const errors: FieldError[] = [];
  if (kind === 'PatchOptions' && query.has('force'))
    errors.push(forbidden('force', 'may not be specified for non-apply patch'));
  const manager = query.get('fieldManager') ?? '';
  if (Buffer.byteLength(manager) > managerCharactersMax) errors.push(tooLong('fieldManager', managerCharactersMax));
  let at = 0;
  for (const character of manager) {
    if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(character))
      errors.push(invalid('fieldManager', manager, `invalid character ${codePoint(character)} (at position ${at})`));
    at += Buffer.byteLength(character);
  }
  const given = query.getAll('dryRun').filter((value) => value !== '');
  if (given.some((value) => value !== 'All')) errors.push(notSupported('dryRun', given, ['All']));
  const validation = query.get('fieldValidation') ?? '';
  if (!fieldValidations.includes(validation))
    errors.push(notSupported('fieldValidation', validation, fieldValidations));
  if (errors.length > 0) throw invalidError('meta.k8s.io', kind, '', errors);
  return given.length > 0;
}

/** As Go's `%#U` prints a character that cannot be shown. */
function codePoint(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** `dryRun=All` of a delete, from a query or an options object. @throws StatusError Invalid */
export function dryRunOf(values: readonly string[], kind: string): boolean {
  const given = values.filter((value) => value !== '');
  if (given.length === 0) return false;
  if (given.some((value) => value !== 'All'))
    throw invalidError('meta.k8s.io', kind, '', [notSupported('dryRun', given, ['All'])]);
  return true;
}

const policies = ['Foreground', 'Background', 'Orphan'];

/** Of the body if there is one, else of the query. @throws StatusError */
export async function deleteOptionsOf({ request, info }: RestScope): Promise<DeleteOptions> {
  const body = await readBody(request);
  const { query } = info;
  let options: DeleteOptions;
  if (body.length > 0) {
    const { value } = parseBody(body, header(request.headers, 'content-type'), 'DeleteOptions');
    if (value === null || typeof value !== 'object' || Array.isArray(value))
      throw badRequestError('the body is not DeleteOptions');
    const { kind } = value as { kind?: unknown };
    if (kind !== undefined && kind !== 'DeleteOptions')
      throw badRequestError(`decoded object cannot be converted to DeleteOptions: ${String(kind)}`);
    options = value as DeleteOptions;
  } else {
    const grace = integerOf(query, 'gracePeriodSeconds');
    const policy = query.get('propagationPolicy');
    options = {
      ...(grace !== undefined && { gracePeriodSeconds: grace }),
      ...(policy && { propagationPolicy: policy }),
      ...(query.has('orphanDependents') && { orphanDependents: isTrue(query.get('orphanDependents')) }),
      ...(query.has('dryRun') && { dryRun: query.getAll('dryRun') }),
    };
  }
  const { propagationPolicy, orphanDependents } = options;
  if (propagationPolicy && orphanDependents !== undefined)
    throw invalidError('meta.k8s.io', 'DeleteOptions', '', [
      invalid('propagationPolicy', propagationPolicy, 'orphanDependents and deletionPropagation cannot be both set'),
    ]);
  if (propagationPolicy && !policies.includes(propagationPolicy))
    throw invalidError('meta.k8s.io', 'DeleteOptions', '', [
      notSupported('propagationPolicy', propagationPolicy, [...policies, 'nil']),
    ]);
  return options;
}

export function isStatusError(error: unknown, code: number): error is StatusError {
  return error instanceof StatusError && error.code === code;
}
