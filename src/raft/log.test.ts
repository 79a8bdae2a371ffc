/** The log, stable and unstable part as one, against a plain array; paging of what is applied; the storage in memory. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Entry, type Snapshot } from '#api-etcd/gen/raft.ts';
import { entry } from '#testkit/raft/test-group.ts';
import { entriesBytes, sliceWithin } from './entry-size.ts';
import { RaftLog } from './log.ts';
import { MemoryStorage } from './memory-storage.ts';

const empty = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

function snapshotAt(index: number, term: number): Snapshot {
  return { data: undefined, metadata: { confState: empty, index, term } };
}

/** Entries 1, 2, ... of these terms in storage, then those of `unstable` in the tail. */
function logOf(stable: readonly number[], unstable: readonly number[] = [], applyingBytesMax = Infinity): RaftLog {
  const storage = new MemoryStorage();
  storage.append(stable.map((term, i) => entry(term, i + 1)));
  const log = new RaftLog(storage, {}, applyingBytesMax);
  if (unstable.length > 0) log.append(unstable.map((term, i) => entry(term, stable.length + i + 1)));
  return log;
}

describe('against a plain array', () => {
  const operation = fc.oneof(
    fc.record({ append: fc.integer({ min: 1, max: 5 }), at: fc.nat(30), sameTerm: fc.boolean() }),
    fc.record({ handOut: fc.constant(true) }),
    fc.record({ stable: fc.nat(3) }),
    fc.record({ commit: fc.nat(30) }),
    fc.record({ compact: fc.nat(30) }),
  );

  test('any order of appending over each other, writing, confirming, committing and compacting', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const storage = new MemoryStorage();
        const log = new RaftLog(storage, {}, Infinity);
        let twin: Entry[] = [];
        let compacted = 0;
        let term = 1;
        // Writes under way, in order: what was handed out, and the end of the log and the term then.
        let writes: { entries: Entry[]; index: number; lastTerm: number; term: number }[] = [];
        for (const each of operations) {
          if ('append' in each) {
            const from = Math.max(log.committed + 1, Math.min(twin.length + 1, each.at));
            if (!each.sameTerm || from <= twin.length) term++;
            const entries = Array.from({ length: each.append }, (_, i) => entry(term, from + i));
            log.append(entries);
            twin = [...twin.slice(0, from - 1), ...entries];
          } else if ('handOut' in each) {
            const entries = log.unstable.nextEntries();
            if (entries.length === 0) continue;
            writes.push({ entries, index: log.lastIndex(), lastTerm: log.lastTerm(), term });
            log.unstable.acceptInProgress();
          } else if ('stable' in each) {
            const done = writes.slice(0, each.stable);
            writes = writes.slice(each.stable);
            for (const write of done) {
              storage.append(write.entries);
              if (write.term === term) log.unstable.stableTo(write.index, write.lastTerm);
            }
          } else if ('commit' in each) log.commitTo(Math.min(each.commit, twin.length));
          else {
            const index = Math.min(each.compact, log.committed, log.unstable.offset - 1);
            if (index > compacted && index <= storage.lastIndex() && storage.compact(index) === undefined)
              compacted = index;
          }
          assert.equal(log.lastIndex(), twin.length);
          assert.equal(log.firstIndex(), compacted + 1);
          assert.equal(log.lastTerm(), twin.at(-1)?.term ?? 0);
          for (let index = compacted; index <= twin.length + 1; index++)
            assert.equal(log.term(index), index === 0 ? 0 : twin[index - 1]?.term);
          assert.deepEqual(log.entries(compacted + 1, Infinity), twin.slice(compacted));
          if (compacted > 0) assert.equal(log.entries(compacted, Infinity), undefined);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('slices over both parts keep to the limit, and have one entry at least', () => {
    const log = logOf([1, 1, 1], [2, 2, 2]);
    const all = log.entries(1, Infinity)!;
    for (let low = 1; low <= 6; low++)
      for (let high = low; high <= 7; high++)
        for (const bytesMax of [0, 1, 15, 30, 45, 60, Infinity]) {
          const slice = log.slice(low, high, bytesMax)!;
          const wanted = sliceWithin(all, low - 1, high - 1, bytesMax);
          assert.deepEqual(slice, wanted, `[${low}, ${high}) within ${bytesMax}`);
          assert.ok(slice.length <= 1 || entriesBytes(slice) <= bytesMax);
        }
    assert.throws(() => log.slice(5, 8, Infinity), /out of bound/);
    assert.throws(() => logOf([1, 1]).slice(1, 4, Infinity), /slice\[1,4\) out of bound \[1,2\]/);
  });
});

describe('a leader’s entries', () => {
  test('are taken after an entry that is there; only what is new is appended', () => {
    for (const [index, term, terms, expected] of [
      [3, 3, [], 3],
      [3, 3, [4], 4],
      [2, 2, [3], 3],
      [2, 2, [4, 4], 4],
      [0, 0, [1, 2, 3], 3],
      [3, 2, [4], undefined],
      [4, 4, [4], undefined],
    ] as const) {
      const log = logOf([1, 2, 3]);
      const entries = terms.map((each, i) => entry(each, index + 1 + i));
      assert.equal(log.maybeAppend(index, term, entries, 0), expected, `${term}/${index} ${terms}`);
      if (expected !== undefined && terms.length > 0) assert.equal(log.term(expected), terms.at(-1));
    }
  });

  test('never conflict with what is committed', () => {
    const log = logOf([1, 2, 3]);
    log.commitTo(2);
    assert.throws(
      () => log.maybeAppend(1, 1, [entry(4, 2)], 0),
      /entry 2 conflict with committed entry \[committed\(2\)\]/,
    );
    assert.throws(() => log.append([entry(4, 2)]), /after\(1\) is out of range \[committed\(2\)\]/);
  });
});

test('where logs may agree: the last entry of a term that is not higher, or one whose term is not known', () => {
  const log = logOf([2, 2, 5, 5, 5]);
  for (const [index, term, expected] of [
    [5, 5, 5],
    [5, 4, 2],
    [5, 2, 2],
    [5, 1, 0],
    [3, 9, 3],
    [7, 9, 7],
    [0, 0, 0],
  ] as const)
    assert.equal(log.findConflictByTerm(index, term), expected, `${term}/${index}`);
});

test('what is newer: a later last term, then more entries', () => {
  const log = logOf([1, 2, 3]);
  for (const [index, term, expected] of [
    [2, 4, true],
    [4, 2, false],
    [3, 3, true],
    [2, 3, false],
    [4, 3, true],
  ] as const)
    assert.equal(log.isUpToDate(index, term), expected);
});

describe('what is to be applied', () => {
  test('comes in pages: nothing more before room is made', () => {
    const entries = [1, 1, 1, 1, 1];
    const one = Entry.size(entry(1, 1));
    for (const allowUnstable of [true, false]) {
      const log = logOf(entries, [], 2 * one);
      log.commitTo(5);
      const take = () => {
        const next = log.nextCommitted(allowUnstable);
        if (next.length > 0) log.acceptApplying(next.at(-1)!.index, entriesBytes(next), allowUnstable);
        return next.map(({ index }) => index);
      };
      assert.deepEqual([take(), take()], [[1, 2], []]);
      assert.equal(log.hasNextCommitted(allowUnstable), false);
      log.appliedTo(1, one);
      assert.deepEqual([take(), take()], [[3], []]);
      log.appliedTo(3, 2 * one);
      assert.deepEqual(take(), [4, 5]);
      log.appliedTo(5, 2 * one);
      assert.deepEqual([log.applied, log.applying], [5, 5]);
    }
  });

  test('is on disk, unless the caller writes in lockstep', () => {
    const log = logOf([1], [1, 1]);
    log.commitTo(3);
    assert.deepEqual(
      log.nextCommitted(false).map(({ index }) => index),
      [1],
    );
    assert.deepEqual(
      log.nextCommitted(true).map(({ index }) => index),
      [1, 2, 3],
    );
    log.unstable.acceptInProgress();
    log.unstable.stableTo(2, 1);
    assert.equal(log.hasNextCommitted(false), true);
  });

  test('waits for a snapshot', () => {
    const log = logOf([1, 1]);
    log.commitTo(1);
    log.restore(snapshotAt(5, 2));
    assert.equal(log.hasNextCommitted(true), false);
    assert.deepEqual(
      [log.firstIndex(), log.lastIndex(), log.lastTerm(), log.term(5), log.term(1)],
      [6, 5, 2, 2, undefined],
    );
    log.unstable.stableSnapshotTo(4);
    assert.notEqual(log.unstable.snapshot, undefined, 'another snapshot is not this one');
    log.unstable.stableSnapshotTo(5);
    assert.equal(log.unstable.snapshot, undefined);
  });

  test('is never beyond what is committed, and never goes back', () => {
    const log = logOf([1, 1, 1]);
    log.commitTo(2);
    assert.throws(() => log.appliedTo(3, 0), /applied\(3\) is out of range \[prevApplied\(0\), committed\(2\)\]/);
    log.appliedTo(2, 0);
    assert.throws(() => log.appliedTo(1, 0), /applied\(1\) is out of range/);
    assert.throws(() => log.acceptApplying(3, 0, true), /applying\(3\) is out of range/);
  });
});

describe('the storage in memory', () => {
  const make = () => {
    const storage = new MemoryStorage();
    storage.append([1, 1, 2, 2].map((term, i) => entry(term, i + 1)));
    return storage;
  };

  test('compacts up to an entry whose term it keeps', () => {
    const storage = make();
    assert.equal(storage.compact(2), undefined);
    assert.deepEqual(
      [storage.firstIndex(), storage.lastIndex(), storage.term(2), storage.term(1)],
      [3, 4, 1, undefined],
    );
    assert.equal(storage.entries(2, 4, Infinity), undefined);
    assert.equal(storage.compact(2)?.code, 'compacted');
    assert.throws(() => storage.compact(9), /compact 9 is out of bound lastindex\(4\)/);
    storage.append([entry(1, 2), entry(3, 3)]);
    assert.deepEqual([storage.firstIndex(), storage.lastIndex(), storage.term(3)], [3, 3, 3]);
  });

  test('notes newer snapshots, and refuses older ones', () => {
    const storage = make();
    const made = storage.createSnapshot(3, { ...empty, voters: [1n] }, Buffer.from('state'));
    assert.ok('metadata' in made);
    assert.deepEqual([made.metadata.index, made.metadata.term, made.metadata.confState.voters], [3, 2, [1n]]);
    const older = storage.createSnapshot(3, undefined, undefined);
    assert.ok('code' in older && older.code === 'snapshot-out-of-date');
    assert.equal(
      storage.applySnapshot(snapshotAt(3, 2))?.message,
      'requested index is older than the existing snapshot',
    );
    assert.equal(storage.applySnapshot(snapshotAt(9, 4)), undefined);
    assert.deepEqual([storage.firstIndex(), storage.lastIndex(), storage.term(9)], [10, 9, 4]);
  });

  test('has no gaps', () => {
    assert.throws(() => make().append([entry(3, 6)]), /missing log entry \[last: 4, append at: 6\]/);
  });
});
