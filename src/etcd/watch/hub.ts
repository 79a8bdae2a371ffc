/** Who is to be told of a change: the synced watchers of all streams, by key and by range. Those that are behind are only counted. */
import type { Version } from '#mvcc/version.ts';
import { RangeIndex } from './range-index.ts';
import { EventCache, Watcher } from './watcher.ts';

export class WatchHub {
  /** Nearly always a key has one watcher: a set for it would weigh more than itself. */
  readonly #byKey = new Map<string, Watcher | Set<Watcher>>();
  readonly #byRange = new RangeIndex<Watcher>();
  #ofKeys = 0;
  readonly #lagging = new Set<Watcher>();

  /** Watchers that are served from history: they miss something, or began far back. */
  get laggingCount(): number {
    return this.#lagging.size;
  }

  /** Those that have seen everything. */
  get watcherCount(): number {
    return this.#ofKeys + this.#byRange.size;
  }

  /** It has seen everything: it is told of what comes. */
  add(watcher: Watcher): void {
    this.#lagging.delete(watcher);
    watcher.synced = true;
    if (!watcher.isOneKey) {
      this.#byRange.add(watcher, watcher);
      return;
    }
    const { from } = watcher;
    const there = this.#byKey.get(from);
    if (there === undefined) this.#byKey.set(from, watcher);
    else if (there instanceof Watcher) this.#byKey.set(from, new Set([there, watcher]));
    else there.add(watcher);
    this.#ofKeys++;
  }

  /** Misses something from now on: it is told of nothing until it is added again. */
  lag(watcher: Watcher): void {
    this.delete(watcher);
    watcher.synced = false;
    this.#lagging.add(watcher);
  }

  /** One that is not here is let be. */
  delete(watcher: Watcher): void {
    if (this.#lagging.delete(watcher)) return;
    if (!watcher.isOneKey) {
      this.#byRange.delete(watcher, watcher);
      return;
    }
    const { from } = watcher;
    const there = this.#byKey.get(from);
    if (there === watcher) this.#byKey.delete(from);
    else if (there === undefined || there instanceof Watcher || !there.delete(watcher)) return;
    else if (there.size === 0) this.#byKey.delete(from);
    this.#ofKeys--;
  }

  /**
   * Another store, further on, has taken the place of the one that was watched up to `revision`: everybody is served what lies between
   * from its history.
   */
  storeReplaced(revision: number): void {
    for (const watcher of [...this.#all()]) {
      this.lag(watcher);
      watcher.nextRevision = Math.max(watcher.nextRevision, revision + 1);
      watcher.owner.lagging();
    }
  }

  /** Tells everybody who wants to know of the changes of one revision. */
  notify(changes: readonly Version[], compactRevision: number): void {
    if (changes.length === 0 || this.watcherCount === 0) return;
    const told: Watcher[] = [];
    for (const change of changes) {
      const { key } = change;
      const collect = (watcher: Watcher) => {
        if (!watcher.wants(change, key)) return;
        if (watcher.told === undefined) {
          watcher.told = [change];
          told.push(watcher);
        } else watcher.told.push(change);
      };
      const ofKey = this.#byKey.get(key);
      if (ofKey instanceof Watcher) collect(ofKey);
      else ofKey?.forEach(collect);
      this.#byRange.visit(key, collect);
    }
    if (told.length === 0) return;
    const events = new EventCache(compactRevision);
    for (const watcher of told) {
      const its = watcher.told!;
      watcher.told = undefined;
      watcher.owner.deliver(watcher, its, events);
    }
  }

  *#all(): Generator<Watcher> {
    for (const there of this.#byKey.values())
      if (there instanceof Watcher) yield there;
      else yield* there;
    yield* this.#byRange.members();
  }
}
