/**
 * `GET .../NAME`. Without a resourceVersion it reads what the store has now: from the cache once the cache is as new as the store, which is asked
 * for its revision alone. With one, the cache will do.
 */
import { type GroupResource, notFoundError } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import { encodeItem } from '../serialize/representation.ts';
import { keyOf, type StoredObject } from '../storage/stored-object.ts';
import { resourceVersionOf } from './options.ts';
import { encodeContextOf, type RestScope, respond } from './scope.ts';

export async function get(scope: RestScope): Promise<HttpResponse> {
  const context = encodeContextOf(scope);
  return respond(scope, 200, encodeItem(await readItem(scope), context));
}

/** The stored object that the request names. @throws StatusError NotFound */
export async function readStored(scope: RestScope): Promise<KubeObject> {
  return (await readItem(scope)).object;
}

async function readItem(scope: RestScope): Promise<StoredObject> {
  const { deps, info, served } = scope;
  const key = keyOf(served.resource, info.namespace, info.name);
  const path = served.resource.storagePath;
  const version = resourceVersionOf(info.query.get('resourceVersion') ?? '');
  let item: StoredObject | undefined;
  if (version === undefined) {
    const current = await deps.store.currentRevision();
    if (deps.cache.revision >= current) item = deps.cache.kind(path).get(key);
    else ({ item } = await deps.store.get(key, scope.request.signal));
  } else {
    await deps.cache.waitFor(version, scope.request.signal);
    item = deps.cache.kind(path).get(key);
  }
  if (item === undefined) throw notFoundError(groupResourceOf(scope), info.name);
  return item;
}

export function groupResourceOf({ served: { resource } }: Pick<RestScope, 'served'>): GroupResource {
  return { group: resource.group, resource: resource.resource };
}
