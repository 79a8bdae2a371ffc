/** The version of a cluster whose members are upgraded, downgraded, or away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noDowngrade } from '../maintenance/downgrade-info.ts';
import { decideVersion } from './decided-version.ts';

const to34 = { enabled: true, targetVersion: '3.4.0' };
const nothing = { set: undefined, downgraded: false };

test('the first version is the lowest that a member has', () => {
  const decision = decideVersion({ current: '', servers: ['3.5.26', '3.4.33', '3.10.1'], downgrade: noDowngrade });
  assert.deepEqual(decision, { set: '3.4.0', downgraded: false });
});

test('a member that cannot be asked leaves everything as it is', () => {
  for (const current of ['', '3.4.0'])
    assert.deepEqual(decideVersion({ current, servers: ['3.5.26', undefined], downgrade: noDowngrade }), nothing);
  assert.deepEqual(decideVersion({ current: '3.4.0', servers: ['3.4.1', undefined], downgrade: to34 }), nothing);
  assert.deepEqual(decideVersion({ current: '', servers: [], downgrade: noDowngrade }), nothing);
});

test('it rises with the last member that is upgraded, also past nine', () => {
  const rise = (current: string, ...servers: string[]) =>
    decideVersion({ current, servers, downgrade: noDowngrade }).set;
  assert.equal(rise('3.4.0', '3.5.26', '3.4.33', '3.5.26'), undefined);
  assert.equal(rise('3.4.0', '3.5.26', '3.5.0', '3.6.1'), '3.5.0');
  assert.equal(rise('3.9.0', '3.10.0'), '3.10.0');
  assert.equal(rise('3.5.0', '3.5.26', '3.5.26'), undefined);
});

test('a member that is too old does not pull it down unasked', () => {
  assert.deepEqual(decideVersion({ current: '3.5.0', servers: ['3.5.26', '3.4.33'], downgrade: noDowngrade }), nothing);
});

test('a downgrade lowers it with the first member that has gone back, and is over with the last', () => {
  const go = (current: string, ...servers: string[]) => decideVersion({ current, servers, downgrade: to34 });
  assert.deepEqual(go('3.5.0', '3.5.26', '3.5.26'), nothing);
  assert.deepEqual(go('3.5.0', '3.5.26', '3.4.33'), { set: '3.4.0', downgraded: false });
  assert.deepEqual(go('3.4.0', '3.5.26', '3.4.33'), nothing);
  assert.deepEqual(go('3.4.0', '3.4.33', '3.4.33'), { set: undefined, downgraded: true });
});

test('a downgrade under way is not undone by members that have not begun', () => {
  assert.deepEqual(decideVersion({ current: '3.4.0', servers: ['3.5.26', '3.5.26'], downgrade: to34 }), nothing);
});

test('a member lower than the target stops the downgrade', () => {
  assert.deepEqual(decideVersion({ current: '3.5.0', servers: ['3.5.26', '3.3.0'], downgrade: to34 }), nothing);
});
