/** Ids as upstream makes them: the same addresses give the same ids, whoever computes them. */
import { createHash } from 'node:crypto';
import type { ClusterMember } from './cluster/members.ts';

/** Who a member is. */
export interface MemberIdentity {
  readonly name: string;
  /** Never 0. */
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** What it tells clients to use. */
  readonly clientUrls: readonly string[];
}

/** A member of `--initial-cluster`. */
export interface InitialMember {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

/** The members of a new cluster, in ascending order of their ids. */
export function initialMembers(members: readonly InitialMember[], clusterToken: string): ClusterMember[] {
  return members
    .map(({ name, peerUrls }) => ({
      id: memberIdOf(peerUrls, clusterToken),
      name,
      peerUrls: [...peerUrls].sort(),
      clientUrls: [],
      isLearner: false,
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** @param salt the token of a new cluster; for a member added later, the second it was added */
export function memberIdOf(peerUrls: readonly string[], salt: string): bigint {
  return firstEightBytes(Buffer.from(`${[...peerUrls].sort().join('')}${salt}`));
}

/** @param memberIds of the members that the cluster began with */
export function clusterIdOf(memberIds: readonly bigint[]): bigint {
  const bytes = Buffer.alloc(8 * memberIds.length);
  const sorted = [...memberIds].sort((a, b) => (a < b ? -1 : 1));
  for (const [i, id] of sorted.entries()) bytes.writeBigUInt64BE(id, 8 * i);
  return firstEightBytes(bytes);
}

function firstEightBytes(bytes: Buffer): bigint {
  return createHash('sha1').update(bytes).digest().readBigUInt64BE();
}
