/**
 * Reads protobuf wire format: a cursor over bytes that generated decoders drive. Every length is checked against the end of
 * the message it stands in; nothing is copied. https://protobuf.dev/programming-guides/encoding/
 */
import { ProtobufError } from './message.ts';

/** Messages nested deeper than this are refused, as upstream's runtimes do. */
export const depthMax = 100;

const two32 = 2 ** 32;
/** Where two halves become a bigint, many times faster than by shifts. Never read but right after it was written. */
const wide = new DataView(new ArrayBuffer(8));

export class Reader {
  readonly bytes: Buffer;
  position = 0;
  /** End of the message being read. */
  end: number;
  #depth = 0;
  /** Halves of the varint that was read last. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.end = bytes.length;
  }

  /** The low 32 bits of a varint, unsigned: tags, lengths, uint32, enums, bools. */
  uint32(): number {
    const { bytes } = this;
    let position = this.position;
    let byte = bytes[position++]!;
    if (byte < 0x80 && position <= this.end) {
      this.position = position;
      return byte;
    }
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      if (position >= this.end) throw truncated();
      byte = bytes[position++]!;
      if (shift < 28) value |= (byte & 0x7f) << shift;
      else if (shift === 28) value = (value | ((byte & 0x7f) << 28)) >>> 0;
      if (byte < 0x80) {
        this.position = position;
        return value >>> 0;
      }
    }
    throw new ProtobufError('varint is longer than ten bytes');
  }

  int32(): number {
    return this.uint32() | 0;
  }

  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  uint64(): bigint {
    this.#varint();
    wide.setUint32(0, this.#high);
    wide.setUint32(4, this.#low);
    return wide.getBigUint64(0);
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  sint64(): bigint {
    const value = this.uint64();
    return (value >> 1n) ^ -(value & 1n);
  }

  /** A uint64 that must be below 2^53. */
  uint64Number(): number {
    this.#varint();
    const value = this.#high * two32 + this.#low;
    if (!Number.isSafeInteger(value)) throw new ProtobufError('integer is beyond 2^53');
    return value;
  }

  /** An int64 whose magnitude must be below 2^53. */
  int64Number(): number {
    this.#varint();
    const value = (this.#high | 0) * two32 + this.#low;
    if (!Number.isSafeInteger(value)) throw new ProtobufError('integer is beyond 2^53');
    return value;
  }

  fixed32(): number {
    return this.bytes.readUInt32LE(this.#advance(4));
  }

  sfixed32(): number {
    return this.bytes.readInt32LE(this.#advance(4));
  }

  fixed64(): bigint {
    return this.bytes.readBigUInt64LE(this.#advance(8));
  }

  sfixed64(): bigint {
    return this.bytes.readBigInt64LE(this.#advance(8));
  }

  float(): number {
    return this.bytes.readFloatLE(this.#advance(4));
  }

  double(): number {
    return this.bytes.readDoubleLE(this.#advance(8));
  }

  /** A view of the input. */
  bytesField(): Buffer {
    const length = this.uint32();
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  string(): string {
    const length = this.uint32();
    const start = this.#advance(length);
    return this.bytes.toString('utf8', start, start + length);
  }

  /** Enters a nested message: returns the end to give back to {@link leave}. */
  enter(): number {
    const length = this.uint32();
    const outer = this.end;
    if (length > outer - this.position) throw truncated();
    if (++this.#depth > depthMax) throw new ProtobufError(`messages are nested deeper than ${depthMax}`);
    this.end = this.position + length;
    return outer;
  }

  leave(outer: number): void {
    if (this.position !== this.end) throw truncated();
    this.#depth--;
    this.end = outer;
  }

  /** Passes over a field that is not known. */
  skip(tag: number): void {
    if (tag >>> 3 === 0) throw new ProtobufError('field number 0');
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.uint32());
        return;
      case 3:
        this.#skipGroup(tag >>> 3);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new ProtobufError(`wire type ${tag & 7} is not known`);
    }
  }

  #skipGroup(field: number): void {
    if (++this.#depth > depthMax) throw new ProtobufError(`messages are nested deeper than ${depthMax}`);
    for (;;) {
      if (this.position >= this.end) throw truncated();
      const tag = this.uint32();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw new ProtobufError('group ends with another field number');
        this.#depth--;
        return;
      }
      this.skip(tag);
    }
  }

  /** Reads a varint into its halves. */
  #varint(): void {
    const first = this.bytes[this.position]!;
    if (first < 0x80 && this.position < this.end) {
      this.position++;
      this.#low = first;
      this.#high = 0;
      return;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= this.end) throw truncated();
      const byte = this.bytes[this.position++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= (bits & 1) << 31;
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new ProtobufError('varint is longer than ten bytes');
  }

  #advance(length: number): number {
    const start = this.position;
    if (length > this.end - start) throw truncated();
    this.position = start + length;
    return start;
  }
}

function truncated(): ProtobufError {
  return new ProtobufError('unexpected end of message');
}
