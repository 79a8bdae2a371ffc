/**
 * Bytes that arrive in chunks of any size, taken in pieces of known size. A piece that lies in one chunk is a view of it; only one
 * that spans chunks is copied. What a piece of n bytes costs does not depend on how many chunks it came in.
 */
import { assert } from '#std/assert.ts';

const two32 = 2 ** 32;

export class ByteFeed {
  readonly #chunks: Buffer[] = [];
  /** Taken from the first chunk already. */
  #offset = 0;
  #available = 0;

  get available(): number {
    return this.#available;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    this.#available += chunk.length;
  }

  /** The next `count` bytes. They must be there. */
  take(count: number): Buffer {
    assert(count <= this.#available, `${count} bytes wanted of ${this.#available}`);
    this.#available -= count;
    const first = this.#chunks[0];
    if (first === undefined) return Buffer.alloc(0);
    const start = this.#offset;
    const end = start + count;
    if (end <= first.length) {
      this.#advance(count, first);
      return first.subarray(start, end);
    }
    const whole = Buffer.allocUnsafe(count);
    for (let at = 0; at < count; ) {
      const chunk = this.#chunks[0]!;
      const taken = Math.min(count - at, chunk.length - this.#offset);
      chunk.copy(whole, at, this.#offset, this.#offset + taken);
      at += taken;
      this.#advance(taken, chunk);
    }
    return whole;
  }

  /** Everything that is left, as it came. */
  rest(): Buffer[] {
    const rest = this.#chunks.splice(0);
    if (rest.length > 0) rest[0] = rest[0]!.subarray(this.#offset);
    this.#offset = 0;
    this.#available = 0;
    return rest;
  }

  #advance(count: number, chunk: Buffer): void {
    this.#offset += count;
    if (this.#offset < chunk.length) return;
    this.#chunks.shift();
    this.#offset = 0;
  }
}

/** A big-endian uint64. What is beyond 2^53 comes as Infinity: it is beyond every limit. */
export function readUint64(bytes: Buffer): number {
  const value = bytes.readUInt32BE(0) * two32 + bytes.readUInt32BE(4);
  return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
}

/** Writes a big-endian uint64; returns the offset after it. */
export function writeUint64(value: number, target: Buffer, offset: number): number {
  target.writeUInt32BE(Math.floor(value / two32), offset);
  return target.writeUInt32BE(value % two32, offset + 4);
}
