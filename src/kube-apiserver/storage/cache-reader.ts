/**
 * The {@link ObjectReader} over the watch cache: how the server's own parts see objects. What cannot be read they do not see; the cache has
 * told of it.
 */
import type { KubeObject } from '../object.ts';
import type { GroupResourceName, ObjectReader } from '../reader.ts';
import type { ResourceRegistry } from '../registry.ts';
import type { KindChange } from './kind-cache.ts';
import type { ObjectStore } from './object-store.ts';
import { keyOf, prefixOf, type StoredObject, StoredObjectError } from './stored-object.ts';
import type { WatchCache } from './watch-cache.ts';

export function cacheReader(registry: ResourceRegistry, cache: WatchCache, store: ObjectStore): ObjectReader {
  const resourceOf = ({ group, resource }: GroupResourceName) => {
    const served = registry.findAny(group, resource);
    if (served === undefined) throw new Error(`${resource}.${group} is not served`);
    return served.resource;
  };
  return {
    get(name, namespace, objectName) {
      const resource = resourceOf(name);
      return readable(cache.kind(resource.storagePath).get(keyOf(resource, namespace, objectName)));
    },
    async getLatest(name, namespace, objectName) {
      return (await store.get(keyOf(resourceOf(name), namespace, objectName))).item?.object;
    },
    *list(name, namespace = '') {
      const resource = resourceOf(name);
      for (const item of cache.kind(resource.storagePath).range(prefixOf(resource, namespace))) {
        const object = readable(item);
        if (object !== undefined) yield object;
      }
    },
    watch(name, onChange) {
      const { storagePath } = resourceOf(name);
      const change = ({ before, after }: KindChange) => onChange(readable(before), readable(after));
      let following: Disposable;
      const follow = () => {
        following = cache.kind(storagePath).follow({
          change,
          // Everything was read again: the reader looks at all of it anew.
          lost: () => {
            if (cache.closed) return;
            follow();
            onChange(undefined, undefined);
          },
        });
      };
      follow();
      return { [Symbol.dispose]: () => following[Symbol.dispose]() };
    },
  };
}

function readable(item: StoredObject | undefined): KubeObject | undefined {
  try {
    return item?.object;
  } catch (error) {
    if (!(error instanceof StoredObjectError)) throw error;
    return undefined;
  }
}
