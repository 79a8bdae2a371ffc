/**
 * A local copy of a resource, kept fresh by a reflector: lookups by key and by index, handlers that hear of every change once the
 * copy holds it. Handlers run in the order they were added, must not throw and must not wait.
 */
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { ResourceClient, SelectOptions } from './client.ts';
import { type ReflectedStore, reflect } from './reflector.ts';
import { type ApiObject, keyOf } from './resource-ref.ts';

export interface InformerHandlers<T> {
  added?(object: T): void;
  updated?(before: T, after: T): void;
  /** With the last state that was seen. */
  deleted?(object: T): void;
}

export type IndexFunction<T> = (object: T) => readonly string[];

/** The reading side: what pure syncs get. */
export interface Lister<T> {
  /** By `namespace/name`, or name. */
  get(key: string): T | undefined;
  list(): readonly T[];
  /** @throws for an index that was not added */
  byIndex(index: string, value: string): readonly T[];
}

export interface Informer<T extends ApiObject> extends Lister<T> {
  /** Objects that are there already are added at once. */
  addHandlers(handlers: InformerHandlers<T>): void;
  addIndex(name: string, of: IndexFunction<T>): void;
  /** Settles once the first list is in. Rejects when the informer is closed before. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
}

/** The index that every informer has: by namespace. */
export const namespaceIndex = 'namespace';

export class InformerStore<T extends ApiObject> implements Informer<T>, ReflectedStore<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, { readonly of: IndexFunction<T>; readonly keys: Map<string, Set<string>> }>();
  readonly #handlers: InformerHandlers<T>[] = [];
  readonly #synced = Promise.withResolvers<void>();
  #hasSynced = false;

  constructor() {
    this.#synced.promise.catch(() => {});
    this.addIndex(namespaceIndex, ({ metadata }) => [metadata.namespace ?? '']);
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  byIndex(index: string, value: string): readonly T[] {
    const entry = this.#indexes.get(index);
    if (entry === undefined) throw new Error(`no index ${JSON.stringify(index)}`);
    const keys = entry.keys.get(value);
    return keys === undefined ? [] : Array.from(keys, (key) => this.#objects.get(key)!);
  }

  addIndex(name: string, of: IndexFunction<T>): void {
    if (this.#indexes.has(name)) return;
    const entry = { of, keys: new Map<string, Set<string>>() };
    this.#indexes.set(name, entry);
    for (const [key, object] of this.#objects) enter(entry.keys, of(object), key);
  }

  addHandlers(handlers: InformerHandlers<T>): void {
    this.#handlers.push(handlers);
    for (const object of this.#objects.values()) handlers.added?.(object);
  }

  replace(objects: readonly T[]): void {
    const gone = new Map(this.#objects);
    for (const object of objects) gone.delete(keyOf(object));
    for (const object of gone.values()) this.apply('DELETED', object);
    for (const object of objects) {
      // One of the same name that is another object: the first was deleted while nobody watched.
      const known = this.#objects.get(keyOf(object));
      if (known !== undefined && known.metadata.uid !== object.metadata.uid) this.apply('DELETED', known);
      this.apply('ADDED', object);
    }
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    // Nobody reads it here, and it is most of a small object's bytes. The object is fresh from the parser: ours.
    delete (object.metadata as { managedFields?: unknown }).managedFields;
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (type === 'DELETED') {
      if (before === undefined) return;
      this.#forget(key, before);
      for (const handlers of this.#handlers) handlers.deleted?.(object);
      return;
    }
    if (
      before !== undefined &&
      before.metadata.resourceVersion === object.metadata.resourceVersion &&
      object.metadata.resourceVersion !== undefined
    )
      return;
    if (before !== undefined) this.#forget(key, before);
    this.#objects.set(key, object);
    for (const { of, keys } of this.#indexes.values()) enter(keys, of(object), key);
    for (const handlers of this.#handlers)
      if (before === undefined) handlers.added?.(object);
      else handlers.updated?.(before, object);
  }

  /** Keeps filling the store until the signal aborts. */
  async run(config: {
    readonly client: ResourceClient<T>;
    readonly select?: SelectOptions;
    readonly clock: Clock;
    readonly prng: Prng;
    readonly onError: (error: unknown) => void;
    readonly signal: AbortSignal;
  }): Promise<void> {
    await reflect({ ...config, store: this });
    this.#synced.reject(new Error('the informer is closed'));
  }

  #forget(key: string, object: T): void {
    this.#objects.delete(key);
    for (const { of, keys } of this.#indexes.values())
      for (const value of of(object)) {
        const set = keys.get(value);
        set?.delete(key);
        if (set?.size === 0) keys.delete(value);
      }
  }
}

function enter(keys: Map<string, Set<string>>, values: readonly string[], key: string): void {
  for (const value of values) {
    let set = keys.get(value);
    if (set === undefined) {
      set = new Set();
      keys.set(value, set);
    }
    set.add(key);
  }
}
