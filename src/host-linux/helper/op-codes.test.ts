/** The two tables of operations agree, and plans are encoded as the helper reads them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Op } from './op-codes.ts';
import { Explanations, Plan } from './plan.ts';

test('the operations are those of the helper', () => {
  const header = readFileSync(new URL('../../../native/src/op_codes.h', import.meta.url), 'utf8');
  const theirs = Object.fromEntries(
    [...header.matchAll(/^OP\((\d+), (\w+),/gm)].map(([, number, name]) => [name, Number(number)]),
  );
  assert.deepEqual(theirs, { ...Op });
});

test('an operation is its code, flags, tag and length before its fields', () => {
  const plan = new Plan().mkdir('/a', 0o755);
  assert.equal(
    Buffer.from(plan.finish()).toString('hex'),
    ['0100', '0000', '01000000', '0b000000', '02000000', '2f6100', 'ed010000'].join(''),
  );
});

test('a failure is told by the operation it happened in', () => {
  const explanations = new Explanations();
  new Plan(explanations).mkdir('/a');
  new Plan(explanations).write('/b/c', '1');
  assert.equal(explanations.of({ tag: 2, errno: 13, text: 'open /b/c' }), 'open /b/c: permission denied');
  assert.equal(explanations.of({ tag: 1, errno: 28, text: '/a' }), 'mkdir /a: no space left on device');
  assert.equal(explanations.of({ tag: 3, errno: 1, text: '' }), undefined);
});
