/** Tokens that come again: verified once in ten seconds, wrong ones each time, and never more kept than may be. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { VirtualClock } from '#std/virtual-clock.ts';
import { cachedClaims } from './claims-cache.ts';

test('a token is verified once in ten seconds, and a wrong one every time', async () => {
  const clock = new VirtualClock();
  const verified: string[] = [];
  const claims = cachedClaims(async (token) => {
    verified.push(token);
    if (token === 'wrong') throw new Error('a wrong token');
    return { sub: token };
  }, clock);
  const both = await Promise.all([claims('a'), claims('a')]);
  assert.deepEqual(both, [{ sub: 'a' }, { sub: 'a' }]);
  assert.deepEqual(verified, ['a']);
  for (let i = 0; i < 2; i++) await assert.rejects(claims('wrong'), /a wrong token/);
  assert.deepEqual(verified, ['a', 'wrong', 'wrong']);
  await clock.advance(9_999, async () => {});
  await claims('a');
  assert.equal(verified.length, 3);
  await clock.advance(1, async () => {});
  await claims('a');
  assert.equal(verified.length, 4);
});

test('the oldest are forgotten when there are too many', async () => {
  let verified = 0;
  const claims = cachedClaims(async (token) => {
    verified++;
    return { sub: token };
  }, new VirtualClock());
  for (let i = 0; i <= 4096; i++) await claims(`t${i}`);
  await claims('t4096');
  assert.equal(verified, 4097);
  await claims('t0');
  assert.equal(verified, 4098);
});
