/** Messages of one direction of a stream, waiting for their reader. What bounds it is the window of whoever fills it. */

interface Held<T> {
  readonly message: T;
  readonly release: () => void;
}

export class MessageQueue<T> implements AsyncIterable<T> {
  readonly #held: Held<T>[] = [];
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** @param release runs when the reader has taken the message: gives the sender its window back */
  push(message: T, release: () => void): void {
    if (this.#end !== undefined) {
      release();
      return;
    }
    this.#held.push({ message, release });
    this.#wake?.();
  }

  /** Messages held are still read; then the queue ends, or throws `error`. */
  end(error?: unknown): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake?.();
  }

  /** Ends at once: messages held are dropped. */
  fail(error: unknown): void {
    for (const { release } of this.#held.splice(0)) release();
    this.#end = { error };
    this.#wake?.();
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: async () => {
        for (;;) {
          const held = this.#held.shift();
          if (held !== undefined) {
            held.release();
            return { done: false, value: held.message };
          }
          if (this.#end !== undefined) {
            if ('error' in this.#end) throw this.#end.error;
            return { done: true, value: undefined };
          }
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      },
      return: async () => {
        for (const { release } of this.#held.splice(0)) release();
        this.#end ??= {};
        return { done: true, value: undefined };
      },
    };
  }
}

/** Somebody who waits until there is room again. */
export class RoomGate {
  #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  #error: { readonly error: unknown } | undefined;

  wait(): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error.error);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  open(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  fail(error: unknown): void {
    this.#error ??= { error };
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/**
 * Gives a sender its window back: at once while little waits to be read (a message larger than the window must be able to
 * arrive), and only as the reader takes messages once much does.
 */
export class ReceiveCredit {
  readonly #consume: (bytes: number) => void;
  #waitingBytes = 0;
  #owedBytes = 0;

  constructor(consume: (bytes: number) => void) {
    this.#consume = consume;
  }

  arrived(bytes: number): void {
    if (this.#waitingBytes < waitingBytesMax) this.#consume(bytes);
    else this.#owedBytes += bytes;
  }

  /** A message is complete and waits for its reader. @returns what to call when it was taken */
  hold(bytes: number): () => void {
    this.#waitingBytes += bytes;
    return () => {
      this.#waitingBytes -= bytes;
      if (this.#waitingBytes >= waitingBytesMax || this.#owedBytes === 0) return;
      this.#consume(this.#owedBytes);
      this.#owedBytes = 0;
    };
  }
}

/** Bytes of complete messages that may wait unread before the sender is held back. */
const waitingBytesMax = 256 << 10;
