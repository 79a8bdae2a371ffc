/** CRC-32C: the vectors of RFC 3720, and a checksum made in pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8Encode } from './bytes.ts';
import { crc32c } from './crc32c.ts';

test('the published vectors', () => {
  assert.equal(crc32c(utf8Encode('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});

test('a checksum goes on where another ended', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 7);
  for (let cut = 0; cut <= bytes.length; cut++)
    assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), crc32c(bytes));
});
