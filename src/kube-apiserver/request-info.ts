/**
 * What a request is about, read from its method and path alone: the value that every later stage (authentication to admission)
 * decides on. Knows neither the registry nor who asks. Source: RequestInfoFactory of k8s.io/apiserver.
 */
import { parseFieldSelector } from '#kube-machinery/field-selector.ts';
import { pathSegmentProblems } from '#kube-machinery/names.ts';
import { StatusError } from '#kube-machinery/status.ts';

export interface RequestInfo {
  /** False for paths such as `/healthz` and for discovery documents. */
  readonly isResourceRequest: boolean;
  readonly path: string;
  /** For a resource: get, list, watch, create, update, patch, delete, deletecollection, proxy. Otherwise the method in lower case. */
  readonly verb: string;
  /** `api` or `apis`. */
  readonly apiPrefix: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  /** Of the path, or of a list's or watch's field selector that asks for one object. */
  readonly name: string;
  /** What follows the subresource in the path (a proxied path). */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

/** The one name that a list or watch asks for by its field selector; empty where it asks for more. A selector that cannot be read asks for all; its verb refuses it. */
function selectedName(query: URLSearchParams): string {
  try {
    const exact = parseFieldSelector(query.get('fieldSelector') ?? '').find(
      ({ field, operator }) => field === 'metadata.name' && operator === '=',
    );
    return exact !== undefined && pathSegmentProblems(exact.value).length === 0 ? exact.value : '';
  } catch (error) {
    if (error instanceof StatusError) return '';
    throw error;
  }
}

/** Under `/namespaces/NAME/`, these belong to the namespace itself and are no resources inside it. */
const namespaceSubresources = new Set(['status', 'finalize']);

const verbOf: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Shared by all requests without one; nobody writes to a request's query. */
const noQuery = new URLSearchParams();

/** @param target path and query as sent. Undefined when a path segment is not valid percent-encoding. */
export function requestInfoOf(method: string, target: string): RequestInfo | undefined {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? noQuery : new URLSearchParams(target.slice(mark + 1));
  const other: RequestInfo = {
    isResourceRequest: false,
    path,
    verb: method.toLowerCase(),
    apiPrefix: '',
    apiGroup: '',
    apiVersion: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    parts: [],
    query,
  };
  let parts: string[];
  try {
    parts = path.split('/').filter((part) => part !== '');
    if (path.includes('%')) parts = parts.map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const [apiPrefix] = parts;
  if (parts.length < 3 || (apiPrefix !== 'api' && apiPrefix !== 'apis')) return other;
  const grouped = apiPrefix === 'apis';
  if (grouped && parts.length < 4) return other;
  const apiGroup = grouped ? parts[1]! : '';
  const apiVersion = grouped ? parts[2]! : parts[1]!;
  let rest = parts.slice(grouped ? 3 : 2);
  let verb = verbOf[method] ?? '';
  // The old style of watching and proxying: a verb before the resource.
  if (rest[0] === 'watch' || rest[0] === 'proxy') {
    verb = rest[0];
    rest = rest.slice(1);
    if (rest.length === 0) return other;
  }
  let namespace = '';
  if (rest[0] === 'namespaces') {
    if (rest.length > 1) {
      namespace = rest[1]!;
      if (rest.length > 2 && !namespaceSubresources.has(rest[2]!)) rest = rest.slice(2);
    }
  }
  const [resource = '', pathName = '', subresource = '', ...more] = rest;
  let name = pathName;
  if (name === '') {
    if (verb === 'get') {
      verb = isTrue(query.get('watch')) ? 'watch' : 'list';
      name = selectedName(query);
    } else if (verb === 'delete') verb = 'deletecollection';
  }
  return {
    isResourceRequest: true,
    path,
    verb,
    apiPrefix,
    apiGroup,
    apiVersion,
    namespace,
    resource,
    subresource,
    name,
    parts: more,
    query,
  };
}

/** How query strings of the API spell a boolean: present and neither `false` nor `0`. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}
