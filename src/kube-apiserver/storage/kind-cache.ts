/**
 * The objects of one kind in memory, in key order, with the changes of the recent past and those who follow them. Pure bookkeeping: it
 * is fed by the watch cache and never waits.
 */
import type { StoredObject } from './stored-object.ts';

export interface KindChange {
  /** The etcd revision of the change. */
  readonly revision: number;
  readonly before: StoredObject | undefined;
  readonly after: StoredObject | undefined;
}

export interface Follower {
  change(change: KindChange): void;
  /** The cache has moved to this revision without a change of this kind since. */
  progress?(revision: number): void;
  /** Changes were missed; the follower must begin again. Nothing comes after it. */
  lost(): void;
}

/** Changes kept for watches that begin in the past; older ones are asked of etcd. */
const historyMax = 2048;

export class KindCache {
  readonly #entries = new Map<string, StoredObject>();
  /** The same in the order of their keys. */
  #sorted: StoredObject[] = [];
  #history: KindChange[] = [];
  #historyStart: number;
  readonly #followers = new Set<Follower>();

  /** @param revision what is known of the kind begins after this revision. */
  constructor(revision: number) {
    this.#historyStart = revision;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Watches from this revision on (or later) need nothing but what is here. */
  get historyStart(): number {
    return this.#historyStart;
  }

  get(key: string): StoredObject | undefined {
    return this.#entries.get(key);
  }

  /** Objects whose key begins with `prefix`, in key order, from `start` on. A snapshot: later changes do not touch it. */
  range(prefix: string, start = prefix): StoredObject[] {
    const from = this.#indexOf(start);
    let low = from;
    let high = this.#sorted.length;
    // The first key after `start` that does not begin so ends the range.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle]!.key.startsWith(prefix)) low = middle + 1;
      else high = middle;
    }
    return this.#sorted.slice(from, low);
  }

  /** Changes after `revision`, oldest first; `revision` is at least {@link historyStart}. */
  since(revision: number): KindChange[] {
    let from = this.#history.length;
    while (from > 0 && this.#history[from - 1]!.revision > revision) from--;
    return this.#history.slice(from);
  }

  follow(follower: Follower): Disposable {
    this.#followers.add(follower);
    return { [Symbol.dispose]: () => this.#followers.delete(follower) };
  }

  /** Objects read at the start, in any order; nobody is told. */
  load(objects: readonly StoredObject[]): void {
    for (const object of objects) this.#entries.set(object.key, object);
    this.#sorted = [...this.#entries.values()].sort((a, b) => compareKeys(a.key, b.key));
  }

  put(after: StoredObject): void {
    const before = this.#entries.get(after.key);
    this.#entries.set(after.key, after);
    const at = this.#indexOf(after.key);
    if (before === undefined) this.#sorted.splice(at, 0, after);
    else this.#sorted[at] = after;
    this.#record({ revision: after.revision, before, after });
  }

  delete(key: string, revision: number): void {
    const before = this.#entries.get(key);
    if (before === undefined) return;
    this.#entries.delete(key);
    this.#sorted.splice(this.#indexOf(key), 1);
    this.#record({ revision, before, after: undefined });
  }

  progress(revision: number): void {
    for (const follower of this.#followers) follower.progress?.(revision);
  }

  /** Tells every follower that the thread is lost, and forgets them. */
  abandon(): void {
    const followers = [...this.#followers];
    this.#followers.clear();
    for (const follower of followers) follower.lost();
  }

  #record(change: KindChange): void {
    this.#history.push(change);
    if (this.#history.length >= 2 * historyMax) {
      const dropped = this.#history.splice(0, historyMax);
      this.#historyStart = dropped.at(-1)!.revision;
    }
    for (const follower of this.#followers) follower.change(change);
  }

  /** Index of `key`, or of where it would stand. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#sorted[middle]!.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Keys are ASCII but for rare names; there UTF-16 order may differ from etcd's byte order, and pages stay consistent all the same. */
function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
