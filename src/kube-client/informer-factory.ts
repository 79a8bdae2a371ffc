/** One informer per resource and selection, shared by all that ask: a component watches each kind once. */
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import type { KubeClient, SelectOptions } from './client.ts';
import { type Informer, InformerStore } from './informer.ts';
import type { ApiObject, ResourceRef } from './resource-ref.ts';

export interface InformerFactory extends AsyncDisposable {
  /** The informer starts to list at once. */
  informer<T extends ApiObject>(
    ref: ResourceRef,
    select?: Omit<SelectOptions, 'signal'> & { readonly namespace?: string },
  ): Informer<T>;
  /** Settles when every informer asked for so far holds its first list. */
  synced(): Promise<void>;
}

export function createInformerFactory(config: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string) => void;
}): InformerFactory {
  const { client, clock, prng, log } = config;
  const scope = new Scope();
  const informers = new Map<string, InformerStore<ApiObject>>();
  return {
    informer<T extends ApiObject>(ref: ResourceRef, select: SelectOptions & { readonly namespace?: string } = {}) {
      const { namespace = '', labelSelector, fieldSelector, metadataOnly } = select;
      const { group, version, resource } = ref;
      const key = JSON.stringify([group, version, resource, namespace, labelSelector, fieldSelector, metadataOnly]);
      let store = informers.get(key);
      if (store === undefined) {
        store = new InformerStore();
        informers.set(key, store);
        const started = store;
        scope.run(
          (signal) =>
            started.run({
              client: client.resource(ref, namespace),
              select: {
                ...(labelSelector !== undefined && { labelSelector }),
                ...(fieldSelector !== undefined && { fieldSelector }),
                ...(metadataOnly !== undefined && { metadataOnly }),
              },
              clock,
              prng,
              onError: (error) => log(`watching ${ref.resource}: ${error instanceof Error ? error.message : error}`),
              signal,
            }),
          (error) => log(`informer of ${ref.resource} ended: ${error}`),
        );
      }
      return store as unknown as Informer<T>;
    },
    async synced() {
      await Promise.all(Array.from(informers.values(), ({ synced }) => synced));
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}
