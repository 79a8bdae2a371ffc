/**
 * Writes protobuf wire format from its end to its beginning: what a message holds is written before its length, so nothing is measured twice.
 * Fields are given in descending order and come out in ascending order. For messages whose types are known as data only.
 */
import { sizeInt64Number, sizeUint32, writeInt64Number, writeUint32 } from './writer.ts';

const initialBytes = 1024;

export class BackwardWriter {
  #bytes: Buffer;
  /** Everything from here on is written. */
  #start: number;

  constructor(bytes = initialBytes) {
    this.#bytes = Buffer.allocUnsafe(bytes);
    this.#start = bytes;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#bytes.length - this.#start;
  }

  /** What was written; a view, good until the next write. */
  finish(): Buffer {
    return this.#bytes.subarray(this.#start);
  }

  uint32(value: number): void {
    const at = this.#make(sizeUint32(value));
    writeUint32(value, this.#bytes, at);
  }

  /** int32, int64 and bool: negative ones take ten bytes. */
  integer(value: number): void {
    const at = this.#make(sizeInt64Number(value));
    writeInt64Number(value, this.#bytes, at);
  }

  double(value: number): void {
    const at = this.#make(8);
    this.#bytes.writeDoubleLE(value, at);
  }

  /** Bytes as they are. */
  raw(value: Uint8Array): void {
    const at = this.#make(value.length);
    this.#bytes.set(value, at);
  }

  /** With its length before it. */
  bytes(value: Uint8Array): void {
    this.raw(value);
    this.uint32(value.length);
  }

  string(value: string): void {
    const length = Buffer.byteLength(value);
    const at = this.#make(length);
    this.#bytes.write(value, at, length, 'utf8');
    this.uint32(length);
  }

  /** @param wireType 0 varint, 1 fixed64, 2 with a length */
  tag(number: number, wireType: 0 | 1 | 2): void {
    this.uint32((number << 3) | wireType);
  }

  /** Ends a message (at its beginning). @param before {@link length} when it was begun (at its end) */
  message(number: number, before: number): void {
    this.uint32(this.length - before);
    this.tag(number, 2);
  }

  /** Room for `size` bytes; where they begin. */
  #make(size: number): number {
    if (size > this.#start) {
      const { length } = this;
      const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, length + 2 * size));
      this.#bytes.copy(grown, grown.length - length, this.#start);
      this.#start = grown.length - length;
      this.#bytes = grown;
    }
    this.#start -= size;
    return this.#start;
  }
}
