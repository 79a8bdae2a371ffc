/** Quotes as strconv.Quote makes them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { goQuote } from './go-quote.ts';

test('what does not print is escaped, as Go does', () => {
  assert.equal(goQuote('plain text'), '"plain text"');
  assert.equal(goQuote('a"b\\c'), '"a\\"b\\\\c"');
  assert.equal(goQuote('\x07\b\f\n\r\t\v'), '"\\a\\b\\f\\n\\r\\t\\v"');
  assert.equal(goQuote('\0\x1f\x7f'), '"\\x00\\x1f\\x7f"');
  assert.equal(goQuote('Müller 🙂 €'), '"Müller 🙂 €"');
  assert.equal(goQuote('\u00a0\u200b\u3000\ue000\ufeff\u2028'), '"\\u00a0\\u200b\\u3000\\ue000\\ufeff\\u2028"');
  assert.equal(goQuote('\u{e0001}\u{10ffff}'), '"\\U000e0001\\U0010ffff"');
});
