/** CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), eight bytes a step. RFC 3720 appendix B.4 has test vectors. */

/** Eight tables of 256 words, one after another. Filled once, then only read. */
const tables: Uint32Array = makeTables();

function makeTables(): Uint32Array {
  const made = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    made[byte] = crc >>> 0;
  }
  for (let slice = 1; slice < 8; slice++)
    for (let byte = 0; byte < 256; byte++) {
      const before = made[(slice - 1) * 256 + byte]!;
      made[slice * 256 + byte] = (before >>> 8) ^ made[before & 0xff]!;
    }
  return made;
}

/** The checksum of `bytes` after what `crc` is the checksum of; 0 to begin. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  const t = tables;
  let value = ~crc;
  let at = 0;
  const steps = bytes.length - 7;
  for (; at < steps; at += 8) {
    const low = value ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    value =
      t[1792 + (low & 0xff)]! ^
      t[1536 + ((low >>> 8) & 0xff)]! ^
      t[1280 + ((low >>> 16) & 0xff)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) value = (value >>> 8) ^ t[(value ^ bytes[at]!) & 0xff]!;
  return ~value >>> 0;
}
