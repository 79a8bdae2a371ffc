/** Options of the verbs that stand in the query; those of deletes: `delete-options.ts`. Source: meta/v1 ListOptions, CreateOptions and its siblings. */
import { type FieldError, forbidden, invalid, notSupported, tooLong } from '#kube-machinery/field-error.ts';
import { type FieldRequirement, parseFieldSelector } from '#kube-machinery/field-selector.ts';
import { isPrintable } from '#kube-machinery/go-quote.ts';
import { parseSelector, type Selector, SelectorError } from '#kube-machinery/label-selector.ts';
import { badRequestError, invalidError, StatusError } from '#kube-machinery/status.ts';
import type { ServedResource } from '../registry.ts';
import { isTrue } from '../request-info.ts';

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
export function integerOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text))
    throw badRequestError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

const managerBytesMax = 128;
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
  if (Buffer.byteLength(manager) > managerBytesMax) errors.push(tooLong('fieldManager', managerBytesMax));
  let at = 0;
  for (const character of manager) {
    if (!isPrintable(character))
      errors.push(invalid('fieldManager', manager, `invalid character ${codePoint(character)} (at position ${at})`));
    at += Buffer.byteLength(character);
  }
  const given = query.getAll('dryRun');
  errors.push(...dryRunErrors(given));
  const validation = query.get('fieldValidation') ?? '';
  if (!fieldValidations.includes(validation))
    errors.push(notSupported('fieldValidation', validation, fieldValidations));
  if (errors.length > 0) throw invalidError('meta.k8s.io', kind, '', errors);
  return given.length > 0;
}

/** `All` is the only kind of dry run there is. */
export function dryRunErrors(given: readonly string[]): FieldError[] {
  return given.every((value) => value === 'All') ? [] : [notSupported('dryRun', given, ['All'])];
}

/** As Go's `%#U` prints a character that cannot be shown. */
function codePoint(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}

export function isStatusError(error: unknown, code: number): error is StatusError {
  return error instanceof StatusError && error.code === code;
}
