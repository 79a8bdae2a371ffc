/**
 * Copies of single objects that pods of this node name, kept fresh by one watch each for as long as a pod names them: a node sees what its
 * pods need and no more. Upstream's watch-based manager. An object that is immutable needs no watch once it was seen.
 */
import type { KubeClient } from '#kube-client/client.ts';
import { InformerStore } from '#kube-client/informer.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { Scope } from '#std/scope.ts';

export interface ObjectWatchesDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Told of every pod that names an object that has changed. */
  readonly onChange: (podUid: string) => void;
  readonly log: (message: string) => void;
}

/** An object could not be read yet. */
export class ObjectError extends Error {
  override readonly name = 'ObjectError';
}

interface Watched<T extends ApiObject> {
  readonly store: InformerStore<T>;
  readonly stop: AbortController;
  /** Uids of the pods that name it. */
  readonly pods: Set<string>;
}

/** How long a reader waits for the first list. Upstream's figure. */
const syncTimeoutMs = 1000;

export class ObjectWatches<T extends ApiObject & { readonly immutable?: boolean }> {
  readonly #ref: ResourceRef & { readonly kind: string };
  readonly #deps: ObjectWatchesDeps;
  readonly #scope: Scope;
  /** By `namespace/name`. */
  readonly #watched = new Map<string, Watched<T>>();

  constructor(scope: Scope, ref: ResourceRef & { readonly kind: string }, deps: ObjectWatchesDeps) {
    this.#scope = scope;
    this.#ref = ref;
    this.#deps = deps;
  }

  /** How many watches are open. */
  get size(): number {
    return this.#watched.size;
  }

  /** From now on the pod names these, and nothing else. */
  register(podUid: string, namespace: string, names: ReadonlySet<string>): void {
    if (this.#scope.closed) return;
    const keys = new Set(Array.from(names, (name) => `${namespace}/${name}`));
    for (const name of names) {
      const key = `${namespace}/${name}`;
      let watched = this.#watched.get(key);
      if (watched === undefined) {
        watched = this.#watch(namespace, name);
        this.#watched.set(key, watched);
      }
      watched.pods.add(podUid);
    }
    this.#release(podUid, keys);
  }

  unregister(podUid: string): void {
    this.#release(podUid, new Set());
  }

  /** Undefined when there is none of that name. @throws ObjectError when that is not known in time */
  async get(namespace: string, name: string, signal?: AbortSignal): Promise<T | undefined> {
    const { clock } = this.#deps;
    const watched = this.#watched.get(`${namespace}/${name}`);
    if (watched === undefined) throw new ObjectError(`object "${namespace}"/"${name}" not registered`);
    const { store } = watched;
    if (!store.hasSynced) {
      const giveUp = new AbortController();
      const timer = sleep(
        clock,
        syncTimeoutMs,
        signal === undefined ? giveUp.signal : AbortSignal.any([giveUp.signal, signal]),
      );
      timer.catch(() => {});
      try {
        await Promise.race([store.synced, timer]);
      } finally {
        giveUp.abort();
      }
      if (!store.hasSynced)
        throw new ObjectError(
          `failed to sync ${this.#ref.kind.toLowerCase()} cache: timed out waiting for the condition`,
        );
    }
    return store.get(`${namespace}/${name}`);
  }

  #watch(namespace: string, name: string): Watched<T> {
    const { client, clock, prng, onChange, log } = this.#deps;
    const store = new InformerStore<T>();
    const stop = new AbortController();
    const watched: Watched<T> = { store, stop, pods: new Set() };
    const changed = (object: T) => {
      if (object.immutable === true) stop.abort(new Error('the object is immutable'));
      for (const uid of watched.pods) onChange(uid);
    };
    store.addHandlers({ added: changed, updated: (_, object) => changed(object), deleted: changed });
    void store.run({
      client: client.resource<T>(this.#ref, namespace),
      select: { fieldSelector: `metadata.name=${name}` },
      clock,
      prng,
      onError: (error) =>
        log(`watching ${this.#ref.resource} ${namespace}/${name}: ${error instanceof Error ? error.message : error}`),
      signal: AbortSignal.any([stop.signal, this.#scope.signal]),
    });
    return watched;
  }

  #release(podUid: string, kept: ReadonlySet<string>): void {
    for (const [key, { pods, stop }] of this.#watched) {
      if (kept.has(key) || !pods.delete(podUid) || pods.size > 0) continue;
      this.#watched.delete(key);
      stop.abort(new Error('no pod names the object'));
    }
  }
}
