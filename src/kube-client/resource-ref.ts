/** Which resource a request is about, and the paths under which the API serves it. Pure. */
import type { ListMeta, ObjectMeta } from './types/meta.ts';

/** A row of `#api-kube/resources.ts`, or of a custom resource's definition, as far as clients need it. */
export interface ResourceRef {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** The plural, as paths name it. */
  readonly resource: string;
  readonly namespaced: boolean;
  /** Filled into what is written without it. */
  readonly kind?: string;
}

/** What every object of the API has. Lists of built-in kinds come without `apiVersion` and `kind`; the client fills them in. */
export interface ApiObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

export interface ApiList<T> {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ListMeta;
  readonly items: readonly T[];
}

export function apiVersionOf({ group, version }: Pick<ResourceRef, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** @param namespace empty for cluster-scoped resources and for all namespaces */
export function pathOf(ref: ResourceRef, namespace: string, name?: string, subresource?: string): string {
  let path = ref.group === '' ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`;
  if (ref.namespaced && namespace !== '') path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${ref.resource}`;
  if (name !== undefined) path += `/${encodeURIComponent(name)}`;
  if (subresource !== undefined) path += `/${subresource}`;
  return path;
}

/** `namespace/name`, or the name alone: how stores and queues name an object. */
export function keyOf({ metadata }: ApiObject): string {
  return metadata.namespace === undefined || metadata.namespace === ''
    ? metadata.name
    : `${metadata.namespace}/${metadata.name}`;
}

export function splitKey(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return slash === -1 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
