/**
 * Keeps a store equal to a list of the API: list, watch from there, list anew when the server forgot the revision. client-go's
 * reflector in duty; retries for ever with a back-off, until its signal aborts.
 */
import { StatusError } from '#kube-machinery/status.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { below, type Prng } from '#std/prng.ts';
import type { ResourceClient, SelectOptions } from './client.ts';
import type { ApiObject } from './resource-ref.ts';

/** What a reflector fills. Calls come one after another; the objects are the store's to keep. */
export interface ReflectedStore<T> {
  replace(objects: readonly T[]): void;
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void;
}

export interface ReflectorConfig<T extends ApiObject> {
  readonly client: ResourceClient<T>;
  readonly select?: SelectOptions;
  readonly store: ReflectedStore<T>;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Told of every failure that is retried. */
  readonly onError: (error: unknown) => void;
  readonly signal: AbortSignal;
}

const backoffMinMs = 100;
const backoffMaxMs = 30_000;
/** A watch that lasted this long was fine: the next failure starts the back-off anew. */
const healthyMs = 10_000;

/** Resolves when the signal aborts; never rejects. */
export async function reflect<T extends ApiObject>(config: ReflectorConfig<T>): Promise<void> {
  const { client, select, store, clock, prng, onError, signal } = config;
  let resourceVersion: string | undefined;
  let backoffMs = backoffMinMs;
  // Any revision will do at first; after an error only the newest is sure to be newer than what is held.
  let from = '0';
  while (!signal.aborted) {
    const startMs = clock.monotonicMs();
    try {
      if (resourceVersion === undefined) {
        const objects: T[] = [];
        let listed: string | undefined;
        for await (const page of client.pages({ ...select, resourceVersion: from, signal })) {
          objects.push(...page.items);
          listed = page.metadata.resourceVersion;
        }
        if (signal.aborted) return;
        store.replace(objects);
        from = '';
        resourceVersion = listed;
      }
      const events = client.watch({ ...select, ...(resourceVersion !== undefined && { resourceVersion }), signal });
      for await (const { type, object } of events) {
        if (signal.aborted) return;
        if (type !== 'BOOKMARK') store.apply(type, object);
        resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
      }
      // The server ended the watch in order; one that ends at once, again and again, must not become a busy loop.
      if (clock.monotonicMs() - startMs > 1000) {
        backoffMs = backoffMinMs;
        continue;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof StatusError && (error.code === 410 || error.reason === 'Expired')) {
        resourceVersion = undefined;
        from = '';
      } else onError(error);
      if (clock.monotonicMs() - startMs > healthyMs) backoffMs = backoffMinMs;
    }
    try {
      await sleep(clock, backoffMs / 2 + below(prng, Math.ceil(backoffMs / 2)), signal);
    } catch {
      return;
    }
    backoffMs = Math.min(backoffMs * 2, backoffMaxMs);
  }
}
