/** From a resource request to its verb. The table of what each verb is called with is the resource's own list of verbs. */
import { methodNotAllowedError, noSuchPathError } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import { create } from './create.ts';
import { remove } from './delete.ts';
import { deleteCollection } from './delete-collection.ts';
import { get } from './get.ts';
import { list } from './list.ts';
import { patch } from './patch.ts';
import type { RestScope } from './scope.ts';
import { update } from './update.ts';
import { watch } from './watch.ts';

export type Verb = (scope: RestScope) => Promise<HttpResponse>;

/** Verbs of a subresource, by verb. */
export type SubresourceVerbs = Readonly<Record<string, Verb>>;

const verbs: Readonly<Record<string, Verb>> = {
  get,
  list,
  watch,
  create,
  update,
  patch,
  delete: remove,
  deletecollection: deleteCollection,
};

const objectVerbs = new Set(['update', 'patch']);

/** `status` is the object itself, of which another part is written. */
const statusVerbs: SubresourceVerbs = { get, update, patch };

export interface Subresources {
  /** Undefined: not served. */
  find(group: string, resource: string, subresource: string): SubresourceVerbs | undefined;
}

/** @throws StatusError NotFound, MethodNotAllowed */
export function dispatch(scope: RestScope, subresources: Subresources): Promise<HttpResponse> {
  const { info, served } = scope;
  const { resource } = served;
  const { verb } = info;
  if (info.subresource !== '') {
    const known = resource.subresources.find(({ name }) => name === info.subresource);
    const table =
      info.subresource === 'status'
        ? statusVerbs
        : subresources.find(resource.group, resource.resource, info.subresource);
    if (known === undefined || table === undefined) throw noSuchPathError();
    const run = table[verb];
    if (run === undefined) throw methodNotAllowedError();
    return run(scope);
  }
  if (resource.namespaced !== (info.namespace !== '') && !mayLackNamespace(scope)) throw noSuchPathError();
  if (!resource.stored) {
    const run = verb === 'create' ? subresources.find(resource.group, resource.resource, '')?.['create'] : undefined;
    if (run === undefined) throw methodNotAllowedError();
    return run(scope);
  }
  const run = resource.verbs.includes(verb) ? verbs[verb] : undefined;
  // A path is of a collection or of an object. (Lists and watches carry the name that their selector asks for.)
  const misplaced = verb === 'create' ? info.name !== '' : objectVerbs.has(verb) && info.name === '';
  if (run === undefined || misplaced) throw methodNotAllowedError();
  return run(scope);
}

/** Lists and watches go over all namespaces; `namespaces/NAME` is in the namespace it names. */
function mayLackNamespace({ info, served: { resource } }: RestScope): boolean {
  if (!resource.namespaced) return resource.resource === 'namespaces' && resource.group === '';
  return info.verb === 'list' || info.verb === 'watch';
}
