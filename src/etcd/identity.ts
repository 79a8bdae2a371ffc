/** Ids as upstream makes them: the same names and addresses give the same ids, whoever computes them. */
import { createHash } from 'node:crypto';
import type { MemberIdentity } from './member.ts';

export interface IdentityConfig {
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** `--initial-cluster-token`. */
  readonly clusterToken: string;
}

/** Identity of the only member of a new cluster. */
export function singleMember({ name, peerUrls, clientUrls, clusterToken }: IdentityConfig): MemberIdentity {
  const memberId = firstEightBytes(Buffer.from(`${[...peerUrls].sort().join('')}${clusterToken}`));
  const id = Buffer.alloc(8);
  id.writeBigUInt64BE(memberId);
  return { name, memberId, clusterId: firstEightBytes(id), peerUrls, clientUrls };
}

function firstEightBytes(bytes: Buffer): bigint {
  return createHash('sha1').update(bytes).digest().readBigUInt64BE();
}
