/**
 * The arithmetic of majorities: how far a log is committed, and whether an election is decided. It knows sets of voters and numbers,
 * nothing of logs, messages or time. A joint configuration is two majorities that must both agree (Raft dissertation, 4.3): see `joint.ts`.
 */

/**
 * Who a member is: etcd's 64-bit hash, hence `bigint`. Terms and indexes are `number`: they grow by one at a time, and 2^53 of them last
 * 285 years at a million a second. The codec refuses anything beyond (`jstype = JS_NUMBER`), so no comparison here is ever inexact.
 * `Infinity` stands where upstream says MaxUint64 for "no limit".
 */
export type NodeId = bigint;

/** Named as upstream prints them. */
export type VoteResult = 'VotePending' | 'VoteLost' | 'VoteWon';

/** How many of `voters` are a majority. */
export function majorityOf(voters: number): number {
  return (voters >>> 1) + 1;
}

/**
 * The highest index that a majority of the first `count` values has reached; `Infinity` for no voters at all, so that an empty half of a
 * joint configuration never holds the other back. Sorts `acked` in place: it is the caller's scratch space.
 */
export function committedIndex(acked: Float64Array, count: number): number {
  if (count === 0) return Infinity;
  // Configurations are a handful of voters, nearly sorted from one call to the next: insertion beats any general sort.
  for (let i = 1; i < count; i++) {
    const value = acked[i]!;
    let at = i;
    for (; at > 0 && acked[at - 1]! > value; at--) acked[at] = acked[at - 1]!;
    acked[at] = value;
  }
  return acked[count - majorityOf(count)]!;
}

/** What `granted` and `rejected` votes of `voters` decide. No voters at all have won: see {@link committedIndex}. */
export function voteResult(voters: number, granted: number, rejected: number): VoteResult {
  if (voters === 0) return 'VoteWon';
  const needed = majorityOf(voters);
  if (granted >= needed) return 'VoteWon';
  return voters - rejected >= needed ? 'VotePending' : 'VoteLost';
}
