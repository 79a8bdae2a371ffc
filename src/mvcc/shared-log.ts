/** A list that only grows and forks in constant time: forks share the array until one of them adds to it. */
export class SharedLog<T> {
  #items: T[];
  length: number;

  constructor(items: T[] = []) {
    this.#items = items;
    this.length = items.length;
  }

  at(index: number): T {
    return this.#items[index]!;
  }

  push(item: T): void {
    // Somebody else has added to the array: its tail is not ours.
    if (this.#items.length !== this.length) this.#items = this.#items.slice(0, this.length);
    this.#items.push(item);
    this.length++;
  }

  fork(): SharedLog<T> {
    const fork = new SharedLog(this.#items);
    fork.length = this.length;
    return fork;
  }

  /** First index for which `test` holds, when all before it fail and all after it pass; `length` for none. */
  indexWhere(test: (item: T) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(this.#items[middle]!)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
