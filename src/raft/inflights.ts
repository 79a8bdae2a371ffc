/**
 * The append messages that are on their way to one follower: a ring of (last index, bytes), bounded in number and in bytes. A leader that
 * has this much in flight waits for an answer. The ring grows with use, so that a thousand idle followers cost nothing.
 */
import { assert } from '#std/assert.ts';

const ringInitial = 8;

export class Inflights {
  /** Messages that may be in flight. */
  readonly messagesMax: number;
  /** Bytes of entries that may be in flight; one message may go over. `Infinity` for no limit. */
  readonly bytesMax: number;
  #start = 0;
  #count = 0;
  #bytes = 0;
  /** Pairs of (last index of the message, bytes of its entries). */
  #ring = new Float64Array(0);

  constructor(messagesMax: number, bytesMax: number) {
    this.messagesMax = messagesMax;
    this.bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count >= this.messagesMax || this.#bytes >= this.bytesMax;
  }

  /** A message whose last entry is `index` was sent. Indexes never go down. */
  add(index: number, bytes: number): void {
    assert(!this.full, 'cannot add into a full window of inflight messages');
    const slots = this.#ring.length >>> 1;
    if (this.#count === slots) this.#grow(slots);
    const at = this.#at(this.#count);
    this.#ring[at] = index;
    this.#ring[at + 1] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Messages up to `index` have been answered. */
  freeThrough(index: number): void {
    while (this.#count > 0 && this.#ring[2 * this.#start]! <= index) {
      this.#bytes -= this.#ring[2 * this.#start + 1]!;
      this.#start = (this.#start + 1) % (this.#ring.length >>> 1);
      this.#count--;
    }
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #at(offset: number): number {
    return 2 * ((this.#start + offset) % (this.#ring.length >>> 1));
  }

  #grow(slots: number): void {
    const grown = new Float64Array(2 * Math.min(this.messagesMax, Math.max(ringInitial, 2 * slots)));
    for (let i = 0; i < this.#count; i++) {
      const at = this.#at(i);
      grown[2 * i] = this.#ring[at]!;
      grown[2 * i + 1] = this.#ring[at + 1]!;
    }
    this.#ring = grown;
    this.#start = 0;
  }
}
