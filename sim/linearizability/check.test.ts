/** The checker on histories known good and known bad, and beside a twin that tries every order. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkHistory } from './check.ts';
import type { Model, Operation } from './history.ts';
import { type Input, type Kv, type Output, storeModel } from './store-model.ts';

type StoreOperation = Operation<Input, Output>;

/** Times are places; an operation without an answer never returned. */
const op = (call: number, end: number, input: Input, output?: Output): StoreOperation => ({
  input,
  output,
  call,
  return: output === undefined ? Number.POSITIVE_INFINITY : end,
});
const put = (key: string, value: string): Input => ({ kind: 'put', key, value, lease: 0n });
const get = (key: string): Input => ({ kind: 'range', key, limit: 0 });
const kv = (key: string, value: string, modRevision: number, createRevision = modRevision, version = 1): Kv => ({
  key,
  value,
  createRevision,
  modRevision,
  version,
  lease: 0n,
});
const read = (revision: number, ...kvs: Kv[]): Output => ({ revision, kvs, count: kvs.length });
const kindOf = (history: readonly StoreOperation[]) => checkHistory(storeModel, history).kind;

describe('good', () => {
  test('one after the other', () => {
    assert.equal(
      kindOf([
        op(1, 2, put('a', '1'), { revision: 2 }),
        op(3, 4, get('a'), read(2, kv('a', '1', 2))),
        op(5, 6, { kind: 'delete', key: 'a' }, { revision: 3, deleted: 1 }),
        op(7, 8, { kind: 'delete', key: 'a' }, { revision: 3, deleted: 0 }),
        op(9, 10, get('a'), read(3)),
      ]),
      'linearizable',
    );
  });

  test('a read beside a write may see it or not', () => {
    for (const output of [read(1), read(2, kv('a', '1', 2))])
      assert.equal(kindOf([op(1, 4, put('a', '1'), { revision: 2 }), op(2, 3, get('a'), output)]), 'linearizable');
  });

  test('a write that nobody heard of again may have happened late, or never', () => {
    const lost = op(1, 0, put('a', '1'));
    assert.equal(
      kindOf([lost, op(2, 3, get('a'), read(1)), op(4, 5, get('a'), read(2, kv('a', '1', 2)))]),
      'linearizable',
    );
    assert.equal(kindOf([lost, op(2, 3, get('a'), read(1)), op(4, 5, get('a'), read(1))]), 'linearizable');
  });

  test('a transaction takes the way that its compares say', () => {
    const txn: Input = {
      kind: 'txn',
      compares: [{ key: 'a', target: 'version', is: 0 }],
      success: [{ kind: 'put', key: 'a', value: '1', lease: 0n }],
      failure: [{ kind: 'delete', key: 'b' }],
    };
    assert.equal(
      kindOf([op(1, 2, txn, { revision: 2, succeeded: true }), op(3, 4, txn, { revision: 2, succeeded: false })]),
      'linearizable',
    );
  });
});

describe('bad', () => {
  test('a read that does not see what was acknowledged', () => {
    assert.equal(kindOf([op(1, 2, put('a', '1'), { revision: 2 }), op(3, 4, get('a'), read(1))]), 'violation');
  });

  test('a read that goes back', () => {
    assert.equal(
      kindOf([
        op(1, 8, put('a', '1'), { revision: 2 }),
        op(2, 3, get('a'), read(2, kv('a', '1', 2))),
        op(4, 5, get('a'), read(1)),
      ]),
      'violation',
    );
  });

  test('two writes of one revision', () => {
    assert.equal(
      kindOf([op(1, 4, put('a', '1'), { revision: 2 }), op(2, 3, put('b', '1'), { revision: 2 })]),
      'violation',
    );
  });

  test('an acknowledged write that is gone', () => {
    assert.equal(
      kindOf([
        op(1, 2, put('a', '1'), { revision: 2 }),
        op(3, 4, put('b', '1'), { revision: 2 }),
        op(5, 6, get('a'), read(2)),
      ]),
      'violation',
    );
  });

  test('two locks taken at once', () => {
    const lock: Input = {
      kind: 'txn',
      compares: [{ key: 'lock', target: 'create', is: 0 }],
      success: [{ kind: 'put', key: 'lock', value: 'mine', lease: 0n }],
      failure: [],
    };
    assert.equal(
      kindOf([op(1, 4, lock, { revision: 2, succeeded: true }), op(2, 3, lock, { revision: 3, succeeded: true })]),
      'violation',
    );
  });

  test('a version that was not counted up', () => {
    assert.equal(
      kindOf([
        op(1, 2, put('a', '1'), { revision: 2 }),
        op(3, 4, put('a', '2'), { revision: 3 }),
        op(5, 6, get('a'), read(3, kv('a', '2', 3, 3, 1))),
      ]),
      'violation',
    );
  });

  test('the verdict says how far it came, and what could not follow', () => {
    const verdict = checkHistory(storeModel, [
      op(1, 2, put('a', '1'), { revision: 2 }),
      op(3, 4, get('a'), read(1)),
      op(5, 6, put('b', '1'), { revision: 3 }),
    ]);
    assert.ok(verdict.kind === 'violation');
    assert.deepEqual([verdict.order.length, verdict.stuck.map(({ call }) => call)], [1, [3]]);
  });
});

test('a search that takes too long is given up, not answered', () => {
  const writes = Array.from({ length: 12 }, (_, i) => op(i, 0, put('a', String(i))));
  const never = op(50, 60, get('a'), read(99));
  assert.equal(checkHistory(storeModel, [...writes, never], 1000).kind, 'undecided');
});

/** A register: small enough for a twin. */
interface RegisterInput {
  readonly write?: number;
}
const register: Model<number, RegisterInput, number> = {
  initial: 0,
  step: (state, { write }, output) => {
    if (write !== undefined) return write;
    return output === undefined || output === state ? state : undefined;
  },
  hash: (state) => state,
  equal: (a, b) => a === b,
};

/** Every order of every subset that has all operations which returned. */
function twin(history: readonly Operation<RegisterInput, number>[]): boolean {
  const search = (state: number, left: readonly Operation<RegisterInput, number>[]): boolean => {
    if (left.every(({ output }) => output === undefined)) return true;
    return left.some((operation) => {
      // One that ended before another began comes before it.
      if (left.some((other) => other !== operation && other.return < operation.call)) return false;
      const after = register.step(state, operation.input, operation.output);
      return (
        after !== undefined &&
        search(
          after,
          left.filter((other) => other !== operation),
        )
      );
    });
  };
  return search(0, history);
}

test('it says what trying every order says', () => {
  const operation = fc.record({
    write: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    saw: fc.integer({ min: 0, max: 3 }),
    known: fc.integer({ min: 0, max: 4 }),
    call: fc.integer({ min: 0, max: 12 }),
    takes: fc.integer({ min: 1, max: 8 }),
  });
  let good = 0;
  let bad = 0;
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 7 }), (drawn) => {
      const history = drawn.map(({ write, saw, known, call, takes }, i) => ({
        input: write === undefined ? {} : { write },
        output: known === 0 ? undefined : (write ?? saw),
        // No two events have one place.
        call: call + i / 16,
        return: known === 0 ? Number.POSITIVE_INFINITY : call + takes + i / 16 + 1 / 32,
      }));
      const expected = twin(history);
      if (expected) good++;
      else bad++;
      assert.equal(checkHistory(register, history).kind, expected ? 'linearizable' : 'violation');
    }),
    { numRuns: 3000, seed: 1 },
  );
  assert.ok(good > 300 && bad > 300, `${good} good, ${bad} bad`);
});
