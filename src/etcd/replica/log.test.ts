/** How far back the log in memory reaches: in entries, and in bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfState, Entry, HardState, Snapshot } from '#api-etcd/gen/raft.ts';
import { ReplicaLog } from './log.ts';

const mib = 1 << 20;

function logOf(count: number, bytes: number): ReplicaLog {
  const entries = Array.from({ length: count }, (_, i) =>
    Entry.create({ type: 0, term: 1, index: i + 1, data: Buffer.alloc(bytes) }),
  );
  return new ReplicaLog({
    hardState: HardState.create(),
    confState: ConfState.create(),
    before: { index: 0, term: 0 },
    entries,
    snapshot: () => Snapshot.create(),
  });
}

test('followers are kept 5000 entries, and a member alone none', () => {
  const shared = logOf(7000, 10);
  shared.trim(7000, true);
  assert.equal(shared.firstIndex(), 2001);
  assert.equal(shared.term(2000), 1);
  const alone = logOf(7000, 10);
  alone.trim(6990, false);
  assert.equal(alone.firstIndex(), 6991);
  assert.equal(alone.lastIndex(), 7000);
});

test('a few heavy entries are let go of, too', () => {
  const shared = logOf(100, mib);
  shared.trim(100, true);
  const kept = shared.lastIndex() - shared.firstIndex() + 1;
  assert.ok(kept > 40 && kept <= 64, `${kept}`);
  const alone = logOf(100, mib);
  alone.trim(100, false);
  assert.equal(alone.firstIndex(), 101);
});

test('what is not applied stays, however heavy', () => {
  const log = logOf(100, mib);
  log.trim(10, true);
  assert.equal(log.firstIndex(), 11);
  assert.equal(log.entries(11, 101, Infinity)?.length, 90);
  log.trim(10, true);
  assert.equal(log.firstIndex(), 11);
});
