/** The beginning of a verb is enough when nothing else begins so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namedVerb } from './named-verb.ts';

const verbs = ['compaction', 'completion', 'del', 'lease list', 'lease grant', 'user grant-role', 'user get', 'user'];

test('the whole name, and a beginning that only one name has', () => {
  assert.equal(namedVerb('compaction', '', verbs), 'compaction');
  assert.equal(namedVerb('compact', '', verbs), 'compaction');
  assert.equal(namedVerb('le', '', verbs), 'lease');
  assert.equal(namedVerb('g', 'lease ', verbs), 'grant');
});

test('a name that others begin with is that name', () => {
  assert.equal(namedVerb('user', '', [...verbs, 'users']), 'user');
});

test('a beginning that two have, or none, names nothing', () => {
  assert.equal(namedVerb('comp', '', verbs), undefined);
  assert.equal(namedVerb('g', 'user ', verbs), undefined);
  assert.equal(namedVerb('put', '', verbs), undefined);
  assert.equal(namedVerb('compactions', '', verbs), undefined);
});
