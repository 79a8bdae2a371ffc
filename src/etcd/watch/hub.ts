/** Who is to be told of a change: the synced watchers of all streams, by key and by range. */
import type { Version } from '#mvcc/version.ts';
import { EventCache, type Watcher, wants } from './watcher.ts';

/** Takes the changes that a watcher wants; all of one revision, in order. */
export type Deliver = (watcher: Watcher, changes: readonly Version[], events: EventCache) => void;

export class WatchHub {
  readonly #byKey = new Map<string, Map<Watcher, Deliver>>();
  readonly #ranges = new Map<Watcher, Deliver>();

  get watcherCount(): number {
    let count = this.#ranges.size;
    for (const watchers of this.#byKey.values()) count += watchers.size;
    return count;
  }

  add(watcher: Watcher, deliver: Deliver): void {
    const { from } = watcher.range;
    if (!watcher.range.isOneKey) {
      this.#ranges.set(watcher, deliver);
      return;
    }
    const watchers = this.#byKey.get(from);
    if (watchers === undefined) this.#byKey.set(from, new Map([[watcher, deliver]]));
    else watchers.set(watcher, deliver);
  }

  delete(watcher: Watcher): void {
    if (!watcher.range.isOneKey) {
      this.#ranges.delete(watcher);
      return;
    }
    const { from } = watcher.range;
    const watchers = this.#byKey.get(from);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#byKey.delete(from);
  }

  /** Tells everybody who wants to know of the changes of one revision. */
  notify(changes: readonly Version[], compactRevision: number): void {
    if (changes.length === 0 || (this.#ranges.size === 0 && this.#byKey.size === 0)) return;
    const events = new EventCache(compactRevision);
    const wanted = new Map<Watcher, { readonly deliver: Deliver; readonly changes: Version[] }>();
    const collect = (watcher: Watcher, deliver: Deliver, change: Version) => {
      if (!wants(watcher, change)) return;
      const entry = wanted.get(watcher);
      if (entry === undefined) wanted.set(watcher, { deliver, changes: [change] });
      else entry.changes.push(change);
    };
    for (const change of changes) {
      for (const [watcher, deliver] of this.#byKey.get(change.key) ?? []) collect(watcher, deliver, change);
      for (const [watcher, deliver] of this.#ranges) collect(watcher, deliver, change);
    }
    for (const [watcher, { deliver, changes: its }] of wanted) deliver(watcher, its, events);
  }
}
