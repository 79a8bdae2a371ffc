/** The Lock service: who has come first under a name holds it, as long as their lease lives. Locks are advisory. */
import { Lock, LockResponse, UnlockResponse } from '#api-etcd/gen/lock.ts';
import type { ResponseHeader } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind, type CallContext, type Channel } from '#rpc/call.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { createdAt, firstCreatedOp, getOp, keysOf, putOp, WaitingLine } from './waiting-line.ts';

/** @param channelOf this member's own services, as the caller sees them */
export function lockService(channelOf: (context: CallContext) => Channel): BoundService {
  return bind(Lock, {
    async lock({ name: given, lease: id }, context) {
      const name = Buffer.from(given);
      const line = new WaitingLine(channelOf(context), context, name);
      return await acquireLock(line, name, await line.lease(id));
    },

    async unlock({ key: given }, context) {
      const key = Buffer.from(given);
      const line = new WaitingLine(channelOf(context), context, key);
      return UnlockResponse.create({ header: await line.remove(key) });
    },
  });
}

/**
 * Stands in line under `name` until everybody before has gone.
 * @throws RpcError; the key is taken away again
 */
export async function acquireLock(line: WaitingLine, name: Uint8Array, lease: bigint): Promise<LockResponse> {
  const key = line.keyOf(lease);
  const entered = await line.txn({
    compare: [createdAt(key, 0)],
    success: [putOp(key, new Uint8Array(0), lease), firstCreatedOp(name)],
    failure: [getOp(key), firstCreatedOp(name)],
  });
  const revision = entered.succeeded ? entered.header!.revision : keysOf(entered, 0)[0]!.createRevision;
  const owner = keysOf(entered, 1)[0];
  if (owner === undefined || owner.createRevision === revision)
    return LockResponse.create({ header: entered.header, key });
  let header: ResponseHeader | undefined;
  try {
    await line.turn(revision);
    const mine = await line.range({ key });
    // The lease may have run out while we waited.
    if (mine.kvs.length > 0) header = mine.header;
  } catch (error) {
    await line.remove(key, { alsoWhenCancelled: true }).catch(() => {});
    throw error;
  }
  if (header === undefined) throw new RpcError(Code.Unknown, 'mutex: session is expired');
  return LockResponse.create({ header, key });
}
