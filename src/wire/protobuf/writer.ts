/**
 * Writes protobuf wire format into a buffer that has the room: each function returns the offset after what it wrote. Sizes
 * come from the `size...` functions, so that a message is measured once and then written straight through.
 */

const two32 = 2 ** 32;
/** Where a bigint falls into halves, many times faster than by shifts. Never read but right after it was written. */
const wide = new DataView(new ArrayBuffer(8));

export function sizeUint32(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

/** Negative int32 take ten bytes, as int64 do. */
export function sizeInt32(value: number): number {
  return value < 0 ? 10 : sizeUint32(value);
}

/** int64 and uint64 as safe integers. */
export function sizeInt64Number(value: number): number {
  if (value < 0) return 10;
  if (value < two32) return sizeUint32(value);
  let size = 5;
  for (let rest = Math.floor(value / 2 ** 35); rest >= 1; rest = Math.floor(rest / 128)) size++;
  return size;
}

export function sizeInt64(value: bigint): number {
  wide.setBigUint64(0, value);
  const high = wide.getUint32(0);
  return high === 0 ? sizeUint32(wide.getUint32(4)) : Math.ceil((64 - Math.clz32(high)) / 7);
}

export function sizeString(value: string): number {
  const length = Buffer.byteLength(value);
  return sizeUint32(length) + length;
}

export function sizeBytes(value: Uint8Array): number {
  return sizeUint32(value.length) + value.length;
}

export function writeUint32(value: number, target: Buffer, offset: number): number {
  let rest = value;
  let at = offset;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

export function writeInt32(value: number, target: Buffer, offset: number): number {
  return value < 0 ? writeHalves(value >>> 0, 0xffffffff, target, offset) : writeUint32(value, target, offset);
}

export function writeInt64Number(value: number, target: Buffer, offset: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not a safe integer: ${value}`);
  if (value >= 0 && value < two32) return writeUint32(value, target, offset);
  const high = Math.floor(value / two32);
  return writeHalves(value - high * two32, high >>> 0, target, offset);
}

/** int64 or uint64: two's complement. */
export function writeInt64(value: bigint, target: Buffer, offset: number): number {
  wide.setBigUint64(0, value);
  return writeHalves(wide.getUint32(4), wide.getUint32(0), target, offset);
}

export function zigzag32(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

export function zigzag64(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
}

export function writeString(value: string, target: Buffer, offset: number): number {
  const length = Buffer.byteLength(value);
  const at = writeUint32(length, target, offset);
  target.write(value, at, length, 'utf8');
  return at + length;
}

export function writeBytes(value: Uint8Array, target: Buffer, offset: number): number {
  const at = writeUint32(value.length, target, offset);
  target.set(value, at);
  return at + value.length;
}

function writeHalves(low: number, high: number, target: Buffer, offset: number): number {
  let at = offset;
  let lowRest = low;
  let highRest = high;
  while (highRest !== 0 || lowRest >= 0x80) {
    target[at++] = (lowRest & 0x7f) | 0x80;
    lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
    highRest >>>= 7;
  }
  target[at++] = lowRest;
  return at;
}
