/** Whatever the network, the disks and the members do: what Raft promises holds, and when they behave again, the group goes on. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RandomGroup, type RandomGroupOptions } from '#testkit/raft/random-group.ts';

const schedules = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 500, maxLength: 2500, size: 'max' });

function holds(name: string, options: Omit<RandomGroupOptions, 'seed'>, numRuns: number): void {
  test(name, () => {
    const totals = { leaders: 0, committed: 0, readsAnswered: 0 };
    fc.assert(
      fc.property(fc.nat(), schedules, (seed, schedule) => {
        const group = new RandomGroup({ ...options, seed });
        for (const choice of schedule) group.step(choice);
        assert.ok(group.settles(300), 'no leader that everybody follows');
        for (const key of ['leaders', 'committed', 'readsAnswered'] as const) totals[key] += group.oracle.counts[key];
      }),
      { numRuns },
    );
    // A schedule in which nothing happens shows nothing.
    assert.ok(
      totals.leaders > numRuns && totals.committed > numRuns && totals.readsAnswered > 0,
      JSON.stringify(totals),
    );
  });
}

describe('a group under a random schedule of losses, repetitions, overtaking, crashes and restarts', () => {
  const three = { members: 3, voters: 3, changesMembership: false };
  const five = { members: 5, voters: 5, changesMembership: false };
  const plain = { electionTicks: 5, heartbeatTicks: 2, messageBytesMax: 64, inflightMessagesMax: 4 };
  const etcd = { ...plain, checkQuorum: true, preVote: true };
  holds('three members in lockstep', { ...plain, ...three }, 40);
  holds('three members with asynchronous writes', { ...plain, ...three, asyncStorageWrites: true }, 60);
  holds('three members as in etcd', { ...etcd, ...three, asyncStorageWrites: true }, 60);
  holds('five members in lockstep', { ...etcd, ...five }, 25);
  holds('five members with asynchronous writes', { ...plain, ...five, asyncStorageWrites: true }, 25);
  holds(
    'five members, three of them voters at first, with changes of membership',
    { ...etcd, members: 5, voters: 3, changesMembership: true, asyncStorageWrites: true, stepDownOnRemoval: true },
    40,
  );
});
