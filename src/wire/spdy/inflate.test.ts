/** Our inflater against Node's zlib. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, createDeflate, type Deflate, deflateSync } from 'node:zlib';
import { below, seededPrng } from '#std/prng.ts';
import { dictionaryId, headerDictionary } from './dictionary.ts';
import { InflateError, Inflater } from './inflate.ts';

const limit = { timeout: 10_000 };

test('the dictionary is the one zlib names by its checksum', () => {
  const compressed = deflateSync(Buffer.from('x'), { dictionary: headerDictionary() });
  assert.equal(compressed.readUInt32BE(2), dictionaryId);
});

/** Everything the stream gives for a piece that is flushed. */
async function flushed(deflate: Deflate, piece: Uint8Array): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const collect = (chunk: Buffer) => chunks.push(chunk);
  deflate.on('data', collect);
  deflate.write(piece);
  await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
  deflate.off('data', collect);
  return Buffer.concat(chunks);
}

for (const level of [0, 1, 9])
  test(`pieces that refer to earlier ones and to the dictionary, level ${level}`, limit, async () => {
    const dictionary = headerDictionary();
    const deflate = createDeflate({ level, dictionary });
    const inflater = new Inflater(dictionary, dictionaryId);
    const prng = seededPrng(level);
    const words = ['content-length', 'streamtype', 'error', 'port', '80', 'requestid', '\0\0', 'ab', 'zzzzzzzz'];
    for (let round = 0; round < 200; round++) {
      const count = below(prng, round === 7 ? 20_000 : 40);
      const piece = Buffer.from(Array.from({ length: count }, () => words[below(prng, words.length)]).join(''));
      if (piece.length === 0) continue;
      assert.ok(piece.equals(inflater.push(await flushed(deflate, piece), 1 << 20)), `round ${round}`);
    }
  });

test('more than is allowed, a piece that is cut, and bytes that are no zlib are refused', () => {
  const bomb = deflateSync(Buffer.alloc(1 << 20));
  const fresh = () => new Inflater(headerDictionary(), dictionaryId);
  assert.throws(() => fresh().push(bomb, 1000), InflateError);
  assert.throws(() => fresh().push(bomb.subarray(0, 20), 2 << 20), InflateError);
  assert.throws(() => fresh().push(Buffer.from('GET / HTTP/1.1'), 1000), InflateError);
});
