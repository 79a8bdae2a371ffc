/** `GET .../NAME`. Without a resourceVersion it reads what the store has now; with one, the cache will do. */
import { type GroupResource, notFoundError } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import { keyOf, type StoredObject } from '../storage/stored-object.ts';
import { resourceVersionOf } from './options.ts';
import { type RestScope, respondObject, servedForm } from './scope.ts';

export async function get(scope: RestScope): Promise<HttpResponse> {
  return respondObject(scope, 200, servedForm(scope, await readStored(scope)));
}

/** The stored object that the request names. @throws StatusError NotFound */
export async function readStored(scope: RestScope): Promise<KubeObject> {
  const { deps, info, served } = scope;
  const key = keyOf(served.resource, info.namespace, info.name);
  const kind = deps.cache.kind(served.resource.storagePath);
  const version = resourceVersionOf(info.query.get('resourceVersion') ?? '');
  let item: StoredObject | undefined;
  if (version === undefined) {
    ({ item } = await deps.store.get(key, scope.request.signal));
    // The cached object of the same revision has its bytes ready.
    const cached = kind.get(key);
    if (item !== undefined && cached?.revision === item.revision) item = cached;
  } else {
    await deps.cache.waitFor(version, scope.request.signal);
    item = kind.get(key);
  }
  if (item === undefined) throw notFoundError(groupResourceOf(scope), info.name);
  return item.object;
}

export function groupResourceOf({ served: { resource } }: Pick<RestScope, 'served'>): GroupResource {
  return { group: resource.group, resource: resource.resource };
}
