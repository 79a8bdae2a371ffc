/** Options of the verbs, from the query and, for deletes, the body. Source: meta/v1 ListOptions, DeleteOptions and its siblings. */
import { type FieldError, forbidden, invalid, notSupported } from '#kube-machinery/field-error.ts';
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
    throw badRequestError(`unable to parse requirement: ${error.message}`);
  }
}

function fieldsOf(text: string, served: ServedResource): readonly FieldRequirement[] {
  const requirements = parseFieldSelector(text);
  for (const { field } of requirements)
    if (!Object.hasOwn(served.selectorFields, field))
      throw badRequestError(
        `Unable to find ${JSON.stringify(gvkText(served))} that match label selector "", field selector ${JSON.stringify(text)}: field label not supported: ${field}`,
      );
  return requirements;
}

function gvkText({ resource: { group, version, resource } }: ServedResource): string {
  return `${group === '' ? '' : `${group}/`}${version}, Resource=${resource}`;
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
  if (value === '') return undefined;
  const version = query.get('resourceVersion') ?? '';
  const watching = isTrue(query.get('watch'));
  const errors: FieldError[] = [];
  const forbid = (detail: string) => errors.push(forbidden('resourceVersionMatch', detail));
  if (value !== 'Exact' && value !== 'NotOlderThan')
    errors.push(notSupported('resourceVersionMatch', value, ['Exact', 'NotOlderThan', '']));
  else if (!watching && version === '') forbid('resourceVersionMatch is forbidden unless resourceVersion is provided');
  else if (!watching && (query.get('continue') ?? '') !== '')
    forbid('resourceVersionMatch is forbidden when continue is provided');
  else if (value === 'Exact' && version === '0')
    forbid('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  else if (watching && !query.has('sendInitialEvents'))
    forbid('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
  if (errors.length > 0) throw invalidError('meta.k8s.io', 'ListOptions', '', errors);
  return value as VersionMatch;
}

/** @throws StatusError BadRequest */
function integerOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text))
    throw badRequestError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** `dryRun=All`, from a query or an options object. @throws StatusError Invalid */
export function dryRunOf(values: readonly string[], kind: string): boolean {
  const given = values.filter((value) => value !== '');
  if (given.length === 0) return false;
  const unknown = given.filter((value) => value !== 'All');
  if (unknown.length > 0) throw invalidError('meta.k8s.io', kind, '', [notSupported('dryRun', unknown, ['All'])]);
  return true;
}

const policies = ['Foreground', 'Background', 'Orphan'];

/** Of the body if there is one, else of the query. @throws StatusError */
export async function deleteOptionsOf({ request, info }: RestScope): Promise<DeleteOptions> {
  const body = await readBody(request);
  const { query } = info;
  let options: DeleteOptions;
  if (body.length > 0) {
    const { value } = parseBody(body, header(request.headers, 'content-type'));
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
