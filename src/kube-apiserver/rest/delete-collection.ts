/** `DELETE` of a collection: each object that the selectors choose, by the rules of a single delete. */
import type { HttpResponse } from '#transport/http.ts';
import { encodeList } from '../serialize/representation.ts';
import { deleteStored } from './delete.ts';
import { deleteOptionsOf } from './delete-options.ts';
import { listStored } from './list.ts';
import { isStatusError, listOptionsOf } from './options.ts';
import { encodeContextOf, type RestScope, respond } from './scope.ts';

/** Deletes under way at a time. */
const parallelMax = 16;

export async function deleteCollection(scope: RestScope): Promise<HttpResponse> {
  const context = encodeContextOf(scope);
  const options = await deleteOptionsOf(scope);
  const { items, meta } = await listStored(scope, listOptionsOf(scope.info.query, scope.served));
  const waiting = items[Symbol.iterator]();
  const worker = async () => {
    for (const { object } of waiting) {
      scope.request.signal.throwIfAborted();
      const { name, namespace } = object.metadata;
      const single = { ...scope, info: { ...scope.info, namespace: namespace ?? '', name: name! } };
      try {
        await deleteStored(single, name!, options);
      } catch (error) {
        // Somebody else was faster: what was wanted is so.
        if (!isStatusError(error, 404)) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallelMax, items.length) }, worker));
  const { resourceVersion } = meta;
  return respond(scope, 200, await encodeList(items, { ...(resourceVersion && { resourceVersion }) }, context));
}
