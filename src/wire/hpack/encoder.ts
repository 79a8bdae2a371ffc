/**
 * Encodes header blocks (RFC 7541) without a dynamic table: what repeats is encoded once by whoever sends it again and again,
 * as bytes, and the peer needs no memory for us.
 */
import type { Header } from './decoder.ts';
import { staticTable } from './static-table.ts';

const exact = new Map<string, number>();
const named = new Map<string, number>();
for (const [i, [name, value]] of staticTable.entries()) {
  if (!exact.has(`${name}\0${value}`)) exact.set(`${name}\0${value}`, i + 1);
  if (!named.has(name)) named.set(name, i + 1);
}

/** Headers that intermediaries must not index either (RFC 7541 section 7.1.3). */
const neverIndexed = new Set(['authorization', 'cookie', 'token']);

export function encodeHeaders(headers: readonly Header[]): Buffer {
  let bytesMax = 0;
  for (const [name, value] of headers) bytesMax += name.length + value.length + 16;
  const target = Buffer.allocUnsafe(bytesMax);
  let at = 0;
  for (const [name, value] of headers) {
    const index = exact.get(`${name}\0${value}`);
    if (index !== undefined) {
      at = writeInteger(target, at, 0x80, 7, index);
      continue;
    }
    at = writeInteger(target, at, neverIndexed.has(name) ? 0x10 : 0, 4, named.get(name) ?? 0);
    if (!named.has(name)) at = writeString(target, at, name);
    at = writeString(target, at, value);
  }
  return target.subarray(0, at);
}

function writeString(target: Buffer, offset: number, text: string): number {
  const at = writeInteger(target, offset, 0, 7, text.length);
  return at + target.write(text, at, 'latin1');
}

function writeInteger(target: Buffer, offset: number, flags: number, prefixBits: number, value: number): number {
  const mask = (1 << prefixBits) - 1;
  let at = offset;
  if (value < mask) {
    target[at++] = flags | value;
    return at;
  }
  target[at++] = flags | mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}
