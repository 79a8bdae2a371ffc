/** Who is to be told of a change: the synced watchers of all streams, by key and by range. */
import type { Version } from '#mvcc/version.ts';
import { RangeIndex } from './range-index.ts';
import { EventCache, type Watcher, wants } from './watcher.ts';

/** Takes the changes that a watcher wants; all of one revision, in order. */
export type Deliver = (watcher: Watcher, changes: readonly Version[], events: EventCache) => void;

/** Serves a watcher that misses something from history. */
export type CatchUp = (watcher: Watcher) => void;

interface Listener {
  readonly watcher: Watcher;
  readonly deliver: Deliver;
  readonly catchUp: CatchUp;
  /** What it is to be told of the revision at hand. */
  changes: Version[] | undefined;
}

export class WatchHub {
  readonly #listeners = new Map<Watcher, Listener>();
  readonly #byKey = new Map<string, Set<Listener>>();
  readonly #byRange = new RangeIndex<Listener>();

  get watcherCount(): number {
    return this.#listeners.size;
  }

  add(watcher: Watcher, deliver: Deliver, catchUp: CatchUp): void {
    const listener: Listener = { watcher, deliver, catchUp, changes: undefined };
    this.#listeners.set(watcher, listener);
    const { range } = watcher;
    if (!range.isOneKey) {
      this.#byRange.add(range, listener);
      return;
    }
    const listeners = this.#byKey.get(range.from);
    if (listeners === undefined) this.#byKey.set(range.from, new Set([listener]));
    else listeners.add(listener);
  }

  delete(watcher: Watcher): void {
    const listener = this.#listeners.get(watcher);
    if (listener === undefined) return;
    this.#listeners.delete(watcher);
    const { range } = watcher;
    if (!range.isOneKey) {
      this.#byRange.delete(range, listener);
      return;
    }
    const listeners = this.#byKey.get(range.from);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.#byKey.delete(range.from);
  }

  /**
   * Another store, further on, has taken the place of the one that was watched up to `revision`: everybody is served what lies between
   * from its history.
   */
  storeReplaced(revision: number): void {
    for (const { watcher, catchUp } of [...this.#listeners.values()]) {
      this.delete(watcher);
      watcher.synced = false;
      watcher.nextRevision = Math.max(watcher.nextRevision, revision + 1);
      catchUp(watcher);
    }
  }

  /** Tells everybody who wants to know of the changes of one revision. */
  notify(changes: readonly Version[], compactRevision: number): void {
    if (changes.length === 0 || this.#listeners.size === 0) return;
    const told: Listener[] = [];
    for (const change of changes) {
      const collect = (listener: Listener) => {
        if (!wants(listener.watcher, change)) return;
        if (listener.changes === undefined) {
          listener.changes = [change];
          told.push(listener);
        } else listener.changes.push(change);
      };
      this.#byKey.get(change.key)?.forEach(collect);
      this.#byRange.visit(change.key, collect);
    }
    if (told.length === 0) return;
    const events = new EventCache(compactRevision);
    for (const listener of told) {
      const its = listener.changes!;
      listener.changes = undefined;
      listener.deliver(listener.watcher, its, events);
    }
  }
}
