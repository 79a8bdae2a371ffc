/** Header compression: the RFC's examples, every byte through the Huffman code, limits, and broken blocks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Header, HeaderListTooLargeError, HpackDecoder, HpackError } from './decoder.ts';
import { encodeHeaders } from './encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from './huffman.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const decoder = () => new HpackDecoder({ listBytesMax: 65536 });

test('RFC 7541 C.4: three requests with Huffman code and a dynamic table', () => {
  const own = decoder();
  assert.deepEqual(own.decode(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')), [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ]);
  assert.deepEqual(own.decode(hex('8286 84be 5886 a8eb 1064 9cbf')), [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
    ['cache-control', 'no-cache'],
  ]);
  assert.deepEqual(own.decode(hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')), [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ]);
});

test('RFC 7541 C.6.1: a response, with entries evicted from a table of 256 bytes', () => {
  const own = new HpackDecoder({ tableBytesMax: 256, listBytesMax: 65536 });
  const first = own.decode(
    hex(
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    ),
  );
  assert.deepEqual(first[0], [':status', '302']);
  assert.deepEqual(own.decode(hex('4883 640e ffc1 c0bf'))[0], [':status', '307']);
});

test('every text survives the Huffman code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      const target = Buffer.alloc(huffmanLength(text));
      assert.equal(huffmanEncode(text, target, 0), target.length);
      assert.equal(huffmanDecode(target, 0, target.length), text);
    }),
  );
});

test('what is encoded decodes to itself', () => {
  const name = fc.stringMatching(/^[a-z-]{1,20}$/);
  const value = fc.stringMatching(/^[ -~]{0,200}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (headers: Header[]) => {
      assert.deepEqual(decoder().decode(encodeHeaders(headers)), headers);
    }),
  );
});

test('a list over the limit is refused without breaking compression', () => {
  const own = new HpackDecoder({ listBytesMax: 100 });
  assert.throws(() => own.decode(encodeHeaders([['a', 'x'.repeat(200)]])), HeaderListTooLargeError);
  assert.deepEqual(own.decode(encodeHeaders([['a', 'b']])), [['a', 'b']]);
});

test('broken blocks are refused: index 0, cut strings, endless integers, late size updates, random bytes', () => {
  for (const block of ['80', '40', '4003 6161', 'ffff ffff ffff ff', '82 3f', '3fe1ff03', 'c0'])
    assert.throws(() => decoder().decode(hex(block)), HpackError, block);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      try {
        decoder().decode(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof HpackError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
