/**
 * A first-in, first-out queue with a limit, read as an async iterable by one consumer. The producer is told when
 * the queue is full (`push` returns false and keeps nothing): overload becomes back-pressure or a clear error,
 * never memory.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #itemsMax: number;
  #items: T[] = [];
  #head = 0;
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  #space: (() => void)[] = [];

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Adds an item. Returns false, and keeps nothing, when the queue is full or has ended. */
  push(item: T): boolean {
    if (this.#end !== undefined || this.length >= this.#itemsMax) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  /** Resolves when there is room for one more item, or the queue has ended. */
  hasSpace(): Promise<void> {
    if (this.#end !== undefined || this.length < this.#itemsMax) return Promise.resolve();
    return new Promise((resolve) => this.#space.push(resolve));
  }

  /** Ends the queue after the items it holds; with `error`, the consumer then throws it. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = error === undefined ? {} : { error };
    this.#wake?.();
    this.#release();
  }

  /** Takes the next item; undefined once ended and empty. Throws the error the queue ended with. */
  async shift(): Promise<T | undefined> {
    for (;;) {
      if (this.length > 0) return this.#take();
      if (this.#end !== undefined) {
        if ('error' in this.#end) throw this.#end.error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        if (this.length === 0 && this.#end !== undefined && !('error' in this.#end)) return;
        const item = await this.shift();
        if (item === undefined && this.length === 0 && this.#end !== undefined) return;
        yield item as T;
      }
    } finally {
      this.end();
      this.#items = [];
      this.#head = 0;
    }
  }

  #take(): T {
    const item = this.#items[this.#head]!;
    this.#items[this.#head++] = undefined as T;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    this.#release();
    return item;
  }

  #release(): void {
    const waiting = this.#space;
    if (waiting.length === 0) return;
    this.#space = [];
    for (const resolve of waiting) resolve();
  }
}
