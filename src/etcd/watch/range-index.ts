/**
 * Which ranges hold a key: an interval tree laid out in an array, made anew when a range comes or goes and a key is asked for. What
 * is asked often changes seldom here: watches of a range are many, ranges few.
 */
import type { KeyRange } from '#mvcc/store.ts';

type Ends = Pick<KeyRange, 'from' | 'to'>;

interface Entry<T> {
  readonly from: string;
  /** Exclusive; undefined is no end. */
  readonly to: string | undefined;
  readonly members: Set<T>;
}

export class RangeIndex<T> {
  readonly #entries = new Map<string, Entry<T>>();
  /** In order of `from`; the tree's root is the middle, and so on down. Undefined when it is to be made again. */
  #sorted: Entry<T>[] | undefined;
  /** The furthest end in the part of the tree whose root stands at the same place; undefined is no end. */
  #furthest: (string | undefined)[] = [];
  size = 0;

  add({ from, to }: Ends, member: T): void {
    const name = nameOf(from, to);
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { from, to, members: new Set() };
      this.#entries.set(name, entry);
      this.#sorted = undefined;
    }
    if (entry.members.has(member)) return;
    entry.members.add(member);
    this.size++;
  }

  delete({ from, to }: Ends, member: T): void {
    const name = nameOf(from, to);
    const entry = this.#entries.get(name);
    if (entry === undefined || !entry.members.delete(member)) return;
    this.size--;
    if (entry.members.size > 0) return;
    this.#entries.delete(name);
    this.#sorted = undefined;
  }

  /** Calls `visit` for every member of every range that holds the key. */
  visit(key: string, visit: (member: T) => void): void {
    if (this.#entries.size === 0) return;
    this.#sorted ??= this.#build();
    this.#search(this.#sorted, 0, this.#sorted.length, key, visit);
  }

  *members(): Generator<T> {
    for (const { members } of this.#entries.values()) yield* members;
  }

  #build(): Entry<T>[] {
    const sorted = [...this.#entries.values()].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
    this.#furthest = new Array(sorted.length);
    const fill = (low: number, high: number): string | undefined => {
      if (low >= high) return '';
      const middle = (low + high) >> 1;
      const left = fill(low, middle);
      const right = fill(middle + 1, high);
      const furthest = later(later(left, right), sorted[middle]!.to);
      this.#furthest[middle] = furthest;
      return furthest;
    };
    fill(0, sorted.length);
    return sorted;
  }

  #search(sorted: readonly Entry<T>[], low: number, high: number, key: string, visit: (member: T) => void): void {
    if (low >= high) return;
    const middle = (low + high) >> 1;
    const furthest = this.#furthest[middle];
    if (furthest !== undefined && furthest <= key) return;
    this.#search(sorted, low, middle, key, visit);
    const { from, to, members } = sorted[middle]!;
    if (from > key) return;
    if (to === undefined || key < to) for (const member of members) visit(member);
    this.#search(sorted, middle + 1, high, key, visit);
  }
}

function later(a: string | undefined, b: string | undefined): string | undefined {
  return a === undefined || b === undefined ? undefined : a > b ? a : b;
}

/** Keys hold any byte: the first length tells where one ends. */
function nameOf(from: string, to: string | undefined): string {
  return `${from.length} ${from}${to === undefined ? '' : ` ${to}`}`;
}
