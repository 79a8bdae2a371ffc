/** Netlink framing: attributes nest and come back, and lengths that lie are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeAttributeList,
  decodeAttributes,
  decodeReplies,
  encodeAttributes,
  encodeMessage,
  NetlinkFormatError,
  u32,
} from './message.ts';

test('attributes come back as they went, nested ones too', () => {
  const bytes = encodeAttributes([
    [1, u32(7)],
    [2, [[3, Buffer.from('abc')]]],
  ]);
  const outer = decodeAttributes(bytes);
  assert.equal(outer.get(1)!.readUInt32LE(0), 7);
  assert.deepEqual(decodeAttributeList(outer.get(2)!), [[3, Buffer.from('abc')]]);
});

test('an acknowledgement, a refusal with its text, and an object are told apart', () => {
  const refusal = Buffer.concat([
    i32(-17),
    encodeMessage({ type: 16, flags: 0, body: Buffer.alloc(0) }, 9),
    encodeAttributes([[1, Buffer.from('in use\0')]]),
  ]);
  const datagram = Buffer.concat([
    encodeMessage({ type: 16, flags: 2, body: Buffer.from('body') }, 5),
    encodeMessage({ type: 2, flags: 0x300, body: refusal }, 6),
    encodeMessage({ type: 2, flags: 0x100, body: Buffer.concat([i32(0), Buffer.alloc(16)]) }, 7),
    encodeMessage({ type: 3, flags: 2, body: i32(0) }, 8),
  ]);
  assert.deepEqual(decodeReplies(datagram), [
    { kind: 'message', sequence: 5, type: 16, body: Buffer.from('body') },
    { kind: 'ack', sequence: 6, errno: 17, text: 'in use' },
    { kind: 'ack', sequence: 7, errno: 0, text: '' },
    { kind: 'done', sequence: 8 },
  ]);
});

test('random bytes give replies or a format error, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeReplies(Buffer.from(bytes));
        decodeAttributeList(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof NetlinkFormatError);
      }
    }),
  );
});

function i32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
