/** Lines that somebody types: quotes, and what a backslash says in them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { wordsOf } from './words.ts';

test('words are parted by spaces that stand in no quotes', () => {
  assert.deepEqual(wordsOf(String.raw`put "key \"with\" space" 'as \x23 it is' bare`), [
    'put',
    'key "with" space',
    String.raw`as \x23 it is`,
    'bare',
  ]);
});

test('escapes in double quotes are those of Go', () => {
  assert.deepEqual(wordsOf(String.raw`"value \x23" "\xc3\xa4" "\u00e4" "a\tb\\n"`), ['value #', 'ä', 'ä', 'a\tb\\n']);
});
