/** Majorities and joint majorities: upstream's traces, and a slow obvious twin on anything that fast-check thinks of. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { listTraces, runTrace, type TraceStep } from '#testkit/trace.ts';
import { type JointVoters, jointCommittedIndex, jointVoteResult, type NodeSet, nodeSet, noNodes } from './joint.ts';
import type { NodeId, VoteResult } from './quorum.ts';

const folder = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/raft/quorum/testdata`;

describe("upstream's traces of quorums", { skip: existsSync(folder) ? false : 'no fixtures' }, () => {
  for (const name of existsSync(folder) ? listTraces(folder) : []) test(name, () => runTrace(folder, name, replay));
});

function replay(step: TraceStep): string {
  const values = (key: string) => step.arguments.find((argument) => argument.key === key)?.values ?? [];
  const incoming = values('cfg').map(BigInt);
  const isJoint = values('cfgj').length > 0;
  const outgoing = values('cfgj').includes('zero') ? [] : values('cfgj').map(BigInt);
  const voters = { incoming: nodeSet(incoming), outgoing: nodeSet(outgoing) };
  // The values stand in the order in which voters were first named.
  const named = [...new Set([...incoming, ...outgoing])];
  if (step.command === 'vote') {
    const votes = known(named, values('votes'), (vote) => vote === 'y');
    return jointVoteResult(voters, votes);
  }
  assert.equal(step.command, 'committed');
  const acked = known(named, values('idx'), Number);
  const committed = committedOf(voters, acked);
  // A configuration is joint with itself, and with nothing, as if it were alone.
  if (!isJoint) assert.equal(committedOf({ incoming: voters.incoming, outgoing: voters.incoming }, acked), committed);
  return describeAcked(nodeSet(named), acked) + (committed === Infinity ? '∞' : committed);
}

function known<T>(ids: readonly NodeId[], values: readonly string[], parse: (value: string) => T): Map<NodeId, T> {
  assert.equal(values.length, ids.length);
  return new Map(ids.flatMap((id, i) => (values[i] === '_' ? [] : [[id, parse(values[i]!)] as const])));
}

function committedOf(voters: JointVoters, acked: ReadonlyMap<NodeId, number>): number {
  return jointCommittedIndex(voters, (id) => acked.get(id), new Float64Array(16));
}

/** One line a voter, with a bar as long as the number of voters that it is ahead of. */
function describeAcked(ids: NodeSet, acked: ReadonlyMap<NodeId, number>): string {
  if (ids.length === 0) return '<empty majority quorum>';
  const lines = ids.map((id) => {
    const index = acked.get(id);
    const behind = ids.filter((other) => (acked.get(other) ?? 0) < (index ?? 0)).length;
    const bar = index === undefined ? '?' : `${'x'.repeat(behind)}>`;
    return `${bar.padEnd(ids.length + 1)} ${String(index ?? 0).padStart(5)}    (id=${id})`;
  });
  return `${' '.repeat(ids.length + 4)}idx\n${lines.join('\n')}\n`;
}

const ids = fc.uniqueArray(fc.bigInt(1n, 9n), { maxLength: 7 }).map(nodeSet);
const voterSets = fc.record({ incoming: ids, outgoing: fc.oneof(fc.constant(noNodes), ids) });

/** Every candidate for the answer is tried from above: the first that a majority of each set has reached. */
function committedTwin({ incoming, outgoing }: JointVoters, acked: ReadonlyMap<NodeId, number>): number {
  if (incoming.length === 0 && outgoing.length === 0) return Infinity;
  const reached = (set: NodeSet, index: number) =>
    set.length === 0 || 2 * set.filter((id) => (acked.get(id) ?? 0) >= index).length > set.length;
  for (const index of [...acked.values()].sort((a, b) => b - a))
    if (reached(incoming, index) && reached(outgoing, index)) return index;
  return 0;
}

/** Every way in which the votes that are out may still come in. */
function voteTwin(voters: JointVoters, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const out = nodeSet([...voters.incoming, ...voters.outgoing]).filter((id) => !votes.has(id));
  const outcomes = new Set<boolean>();
  for (let mask = 0; mask < 1 << out.length; mask++) {
    const all = new Map([...votes, ...out.map((id, i) => [id, (mask & (1 << i)) !== 0] as const)]);
    const won = (set: NodeSet) => set.length === 0 || 2 * set.filter((id) => all.get(id) === true).length > set.length;
    outcomes.add(won(voters.incoming) && won(voters.outgoing));
  }
  if (!outcomes.has(true)) return 'VoteLost';
  // Granting everything that is out wins, but a win is only announced once it stands.
  const standing = (set: NodeSet) =>
    set.length === 0 || 2 * set.filter((id) => votes.get(id) === true).length > set.length;
  return standing(voters.incoming) && standing(voters.outgoing) ? 'VoteWon' : 'VotePending';
}

describe('the arithmetic against its twin', () => {
  test('the committed index', () => {
    const acks = fc.array(fc.tuple(fc.bigInt(1n, 9n), fc.nat(12))).map((pairs) => new Map(pairs));
    fc.assert(
      fc.property(voterSets, acks, (voters, acked) => {
        assert.equal(committedOf(voters, acked), committedTwin(voters, acked));
      }),
      { numRuns: 2000 },
    );
  });

  test('the result of a vote', () => {
    const ballots = fc.array(fc.tuple(fc.bigInt(1n, 9n), fc.boolean())).map((pairs) => new Map(pairs));
    fc.assert(
      fc.property(voterSets, ballots, (voters, votes) => {
        assert.equal(jointVoteResult(voters, votes), voteTwin(voters, votes));
      }),
      { numRuns: 2000 },
    );
  });
});
