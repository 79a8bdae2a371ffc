/** Response headers: the store's part is made where the store is read, the member's part where the answer leaves. */
import type { ResponseHeader } from '#api-etcd/gen/rpc.ts';

/** A header that knows only its revision. */
export function headerAt(revision: number): ResponseHeader {
  return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 };
}
