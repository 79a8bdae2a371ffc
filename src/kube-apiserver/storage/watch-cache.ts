/**
 * Everything under `/registry/` in memory, kept current by one etcd watch: what GET, LIST and WATCH are answered from and what
 * the server's own parts read. All kinds share one revision, so a reader waits once for the store's revision and sees all of it.
 * Source: the Cacher of k8s.io/apiserver (which keeps one watch per kind).
 */
import { Event_EventType } from '#api-etcd/gen/kv.ts';
import { type EtcdClient, prefixEnd } from '#etcd-client/client.ts';
import { tooLargeResourceVersionError } from '#kube-machinery/status.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { Scope } from '#std/scope.ts';
import { KindCache } from './kind-cache.ts';
import type { ObjectStore } from './object-store.ts';
import { decodeStored, type StoredObject } from './stored-object.ts';

export interface WatchCacheDeps {
  readonly etcd: EtcdClient;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly warn: (message: string, error?: unknown) => void;
}

const root = '/registry/';
const pageSize = 500;
/** A reader waits this long for the cache to reach the revision it asks for; upstream's figure. */
const freshnessTimeoutMs = 3000;
/** While a reader waits, etcd is asked how far the watch is, this often. */
const progressIntervalMs = 25;
const retryDelayMs = 1000;

export class WatchCache implements AsyncDisposable {
  readonly #deps: WatchCacheDeps;
  readonly #scope = new Scope();
  readonly #kinds = new Map<string, KindCache>();
  #revision = 0;
  /** The revision of the first load: kinds seen for the first time later have their whole history since then. */
  #loadedAt = 0;
  #waiting: { readonly revision: number; readonly wake: () => void }[] = [];

  private constructor(deps: WatchCacheDeps) {
    this.#deps = deps;
  }

  /** Resolves when everything is loaded. */
  static async start(deps: WatchCacheDeps): Promise<WatchCache> {
    const cache = new WatchCache(deps);
    await cache.#load();
    cache.#scope.run(
      (signal) => cache.#follow(signal),
      (error) => deps.warn('the watch cache has stopped', error),
    );
    return cache;
  }

  get closed(): boolean {
    return this.#scope.closed;
  }

  /** All changes up to this revision are here. */
  get revision(): number {
    return this.#revision;
  }

  /** @param storagePath as in the resource table: `pods`, `services/specs`. */
  kind(storagePath: string): KindCache {
    let kind = this.#kinds.get(storagePath);
    if (kind === undefined) {
      kind = new KindCache(this.#loadedAt);
      this.#kinds.set(storagePath, kind);
    }
    return kind;
  }

  /**
   * Resolves when the cache has reached `revision`.
   * @throws StatusError Timeout "Too large resource version" after three seconds
   */
  async waitFor(revision: number, signal?: AbortSignal): Promise<void> {
    if (this.#revision >= revision) return;
    const { clock, etcd } = this.#deps;
    const deadlineMs = clock.monotonicMs() + freshnessTimeoutMs;
    while (this.#revision < revision) {
      signal?.throwIfAborted();
      this.#scope.signal.throwIfAborted();
      if (clock.monotonicMs() >= deadlineMs) throw tooLargeResourceVersionError(revision, this.#revision, 1);
      await new Promise<void>((resolve) => {
        const timer = clock.after(progressIntervalMs, () => {
          etcd.requestProgress();
          resolve();
        });
        this.#waiting.push({
          revision,
          wake: () => {
            timer[Symbol.dispose]();
            resolve();
          },
        });
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const done = this.#scope[Symbol.asyncDispose]();
    for (const { wake } of this.#waiting.splice(0)) wake();
    for (const kind of this.#kinds.values()) kind.abandon();
    await done;
  }

  /** Reads everything at one revision. */
  async #load(): Promise<void> {
    const { store } = this.#deps;
    const byKind = new Map<string, StoredObject[]>();
    let revision = 0;
    for (let start: string | undefined = root; start !== undefined; ) {
      const page: Awaited<ReturnType<ObjectStore['list']>> = await store.list(root, {
        start,
        revision,
        limit: pageSize,
      });
      revision = page.revision;
      for (const item of page.items) {
        this.#warnOfDamage(item);
        const path = storagePathOf(item.key);
        const items = byKind.get(path);
        if (items === undefined) byKind.set(path, [item]);
        else items.push(item);
      }
      start = page.next;
    }
    const stale = [...this.#kinds.values()];
    this.#kinds.clear();
    this.#loadedAt = revision;
    for (const [path, items] of byKind) this.kind(path).load(items);
    this.#advance(revision);
    for (const kind of stale) kind.abandon();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { etcd, clock, warn } = this.#deps;
    while (!signal.aborted) {
      try {
        const watch = etcd.watch({
          key: utf8Encode(root),
          rangeEnd: prefixEnd(utf8Encode(root)),
          startRevision: this.#revision + 1,
          progressNotify: true,
          signal,
        });
        for await (const item of watch) {
          if (item.kind === 'events') {
            for (const event of item.events) {
              const key = utf8Decode(event.kv!.key);
              const kind = this.kind(storagePathOf(key));
              if (event.type === Event_EventType.DELETE) kind.delete(key, event.kv!.modRevision);
              else {
                const object = decodeStored(key, event.kv!.value, event.kv!.modRevision);
                this.#warnOfDamage(object);
                kind.put(object);
              }
            }
            this.#advance(item.revision);
          } else if (item.kind === 'progress') {
            this.#advance(item.revision);
          } else if (item.kind === 'compacted' || item.kind === 'canceled') {
            break;
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        warn('the watch on etcd failed', error);
      }
      if (signal.aborted) return;
      // Changes were missed: everything is read again, and those who follow begin again.
      for (;;) {
        try {
          await this.#load();
          break;
        } catch (error) {
          warn('reading from etcd failed', error);
          await sleep(clock, retryDelayMs, signal);
        }
      }
    }
  }

  #warnOfDamage({ damage }: StoredObject): void {
    if (damage !== undefined) this.#deps.warn('an object cannot be read', damage);
  }

  #advance(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting)
      if (waiter.revision <= revision) waiter.wake();
      else this.#waiting.push(waiter);
  }
}

/** `/registry/services/specs/default/a` → `services/specs`; `/registry/pods/default/a` → `pods`. */
export function storagePathOf(key: string): string {
  const first = key.indexOf('/', root.length);
  if (first === -1) return key.slice(root.length);
  const folder = key.slice(root.length, first);
  if (!nestedFolders.has(folder) && !folder.includes('.')) return folder;
  const second = key.indexOf('/', first + 1);
  return second === -1 ? folder : key.slice(root.length, second);
}

/** Kinds that upstream keeps one folder deeper; groups (`apiregistration.k8s.io/apiservices`) are told by their dot. */
const nestedFolders = new Set(['services']);
