/** Hashes: equal, one that differs, no majority, compactions in between, members that do not tell. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { answered, healthyFacts, idOf, urlOf } from '#testkit/etcd-doctor-facts.ts';
import { hashes } from './hashes.ts';

const of = (...all: readonly (number | string | { readonly hash: number; readonly compactRevision: number })[]) =>
  hashes({
    ...healthyFacts(all.length),
    hashes: {
      revision: 900,
      answers: all.map((each, i) => ({
        memberId: idOf(i),
        answer:
          typeof each === 'string'
            ? { kind: 'denied', why: each }
            : answered(typeof each === 'number' ? { hash: each, compactRevision: 100 } : each),
      })),
    },
  });

test('equal', () => {
  assert.equal(of(7, 7, 7).seen, '3 members hold the same at revision 900');
  assert.equal(
    of(7, 7, 'no answer in time').seen,
    '2 members hold the same at revision 900; not told by m3: no answer in time',
  );
});

test('the one that differs from most is named, and replaced by way of another', () => {
  const { result, seen, next } = of(8, 7, 7);
  assert.equal(result, 'FAIL');
  assert.equal(seen, 'm1 holds other data than 2 of 3 at revision 900 (hash 8, not 7)');
  assert.equal(next?.[0]?.command, `wherry etcdctl --endpoints ${urlOf(1)} member remove 1a1`);
});

test('without a majority nobody is named', () => {
  for (const verdict of [of(7, 8), of(7, 8, 9), of(7, 7, 8, 8)]) {
    assert.equal(verdict.result, 'FAIL');
    assert.match(verdict.seen, /no version of it has a majority/);
    assert.ok(verdict.next!.every(({ command }) => !command.includes('remove')));
  }
});

test('compacted at different revisions: they cannot be compared', () => {
  const { result, seen } = of({ hash: 7, compactRevision: 100 }, { hash: 8, compactRevision: 200 });
  assert.equal(result, 'SKIP');
  assert.match(seen, /: m1 at 100, m2 at 200$/);
});

test('nobody, one, and those who may not know', () => {
  assert.equal(hashes({ ...healthyFacts(), hashes: undefined }).result, 'SKIP');
  assert.equal(of(7).seen, 'one member alone: there is nothing to compare');
  assert.equal(of('denied', 'denied').seen, 'fewer than two members tell their hash: m1: denied; m2: denied');
});
