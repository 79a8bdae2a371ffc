/** What a member answers to whoever asks for its hash: remembered from a compaction at that very revision, or made now. */
import type { Member } from '../member.ts';
import { hashKv, type KvHash } from './hash-kv.ts';

/** @param revision 0 is the newest. @throws RpcError for a revision that is compacted or still to come */
export async function hashAt(member: Member, revision: number): Promise<KvHash> {
  return member.compactions.hashes.at(revision) ?? (await hashKv(member.store.fork(), revision));
}
