/** The window of messages in flight against a plain array. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Inflights } from './inflights.ts';

test('any order of sending and answering, with limits in number and bytes', () => {
  const operations = fc.array(fc.oneof(fc.record({ send: fc.nat(9) }), fc.record({ answer: fc.nat(40) })), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.oneof(fc.constant(Infinity), fc.nat(60)), operations, (...args) => {
      const [messagesMax, bytesMax, list] = args;
      const inflights = new Inflights(messagesMax, bytesMax);
      let twin: { index: number; bytes: number }[] = [];
      let index = 0;
      for (const operation of list) {
        const bytes = twin.reduce((sum, each) => sum + each.bytes, 0);
        assert.equal(inflights.count, twin.length);
        assert.equal(inflights.full, twin.length >= messagesMax || bytes >= bytesMax);
        if ('send' in operation) {
          index++;
          if (inflights.full) assert.throws(() => inflights.add(index, operation.send), /full window/);
          else {
            inflights.add(index, operation.send);
            twin.push({ index, bytes: operation.send });
          }
        } else {
          const answered = Math.max(0, index - operation.answer);
          inflights.freeThrough(answered);
          twin = twin.filter((each) => each.index > answered);
        }
      }
      inflights.reset();
      assert.equal(inflights.count, 0);
    }),
  );
});
