/** The KV service. */
import { etcdError } from '#api-etcd/errors.ts';
import {
  type CompactionResponse,
  type DeleteRangeResponse,
  KV,
  type PutResponse,
  type RangeRequest,
  RangeResponse,
  type ResponseHeader,
  TxnRequest,
  type TxnResponse,
} from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind, type CallContext } from '#rpc/call.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { type Caller, nobody } from '../auth/caller.ts';
import { checkTxnPermission } from '../auth/check-request.ts';
import type { Member } from '../member.ts';
import { checkDeleteRange, checkPut, checkRange, checkTxn } from './check.ts';
import { putCost, txnCost } from './quota.ts';
import { hasRevisionFilters, isDefaultOrder, range } from './range.ts';
import { checkTxnAgainst, comparePath, isReadOnly, isSerializable, txn } from './write.ts';

export interface KvOptions {
  /** Operations in one transaction. */
  readonly txnOpsMax: number;
  readonly authenticator: Authenticator;
}

/** Keys of the first chunk of a streamed range; later chunks aim at half the largest request. */
const streamFirstKeys = 10;

export function kvService(member: Member, { txnOpsMax, authenticator }: KvOptions): BoundService {
  /** Who is asking is found out once a call; what they may do can change while it waits. */
  const callerOf = (context: CallContext) => (member.machine.auth.enabled ? authenticator.callerOf(context) : nobody);
  const checkRead = ({ key, rangeEnd }: Pick<RangeRequest, 'key' | 'rangeEnd'>, caller: Caller) => {
    const { auth } = member.machine;
    if (auth.enabled) auth.checkRead(auth.current(caller), key, rangeEnd);
  };
  return bind(KV, {
    range(request, context) {
      if (member.isLearner && !request.serializable) throw etcdError('notSupportedForLearner');
      checkRange(request);
      const caller = callerOf(context);
      checkRead(request, caller);
      member.counters.ranges++;
      const ready = request.serializable ? undefined : member.linearized();
      if (ready === undefined) return withHeader(member, range(member.store, request, context.encodesAnswers));
      // The request's bytes are the socket's only until the first wait.
      const kept = { ...request, key: Buffer.from(request.key), rangeEnd: Buffer.from(request.rangeEnd) };
      return ready.then(() => {
        checkRead(kept, caller);
        return withHeader(member, range(member.store, kept, context.encodesAnswers));
      });
    },

    async rangeStream(request, sink, context) {
      checkRange(request);
      if (!isDefaultOrder(request))
        throw new RpcError(Code.Unimplemented, 'RangeStream does not support custom sort orders');
      if (hasRevisionFilters(request))
        throw new RpcError(Code.Unimplemented, 'RangeStream does not support revision filters');
      const caller = callerOf(context);
      checkRead(request, caller);
      // The request's bytes are the socket's only until the first wait.
      let key = Buffer.from(request.key);
      const rangeEnd = Buffer.from(request.rangeEnd);
      if (!request.serializable) {
        await member.linearized();
        checkRead({ key, rangeEnd }, caller);
      }
      const { store } = member;
      const pinned = request.revision > 0 ? request.revision : store.revision;
      const whole = range(store, { ...request, key, rangeEnd, countOnly: true });
      let left = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
      let chunkKeys = streamFirstKeys;
      const last = { header: member.header(whole.header!.revision), count: whole.count };
      if (request.countOnly) {
        sink.send({ rangeResponse: RangeResponse.create(last) });
        return;
      }
      for (;;) {
        const limit = Math.min(chunkKeys, left);
        const chunk = range(store, { ...request, key, rangeEnd, revision: pinned, limit }, context.encodesAnswers);
        left -= chunk.kvs.length;
        const done = !chunk.more || left === 0;
        const response = done
          ? RangeResponse.create({ ...last, kvs: chunk.kvs, more: chunk.more })
          : RangeResponse.create({ kvs: chunk.kvs });
        const room = sink.send({ rangeResponse: response });
        if (done) return;
        const bytes = RangeResponse.size(response);
        if (bytes < member.requestBytesMax / 2) chunkKeys *= 2;
        else if (bytes > member.requestBytesMax * 2) chunkKeys = Math.max(1, chunkKeys >> 1);
        key = Buffer.concat([chunk.kvs.at(-1)!.key, Uint8Array.of(0)]);
        if (!room) await sink.drained();
      }
    },

    put(request, context) {
      checkPut(request);
      member.checkQuota(putCost(request));
      return answer(
        member,
        member.propose({ put: request }, authenticator.callerOf(context)) as PutResponse | Promise<PutResponse>,
      );
    },

    deleteRange(request, context) {
      checkDeleteRange(request);
      return answer(
        member,
        member.propose({ deleteRange: request }, authenticator.callerOf(context)) as
          | DeleteRangeResponse
          | Promise<DeleteRangeResponse>,
      );
    },

    txn(request, context) {
      checkTxn(request, txnOpsMax);
      member.checkQuota(txnCost(request));
      const caller = authenticator.callerOf(context);
      if (!isReadOnly(request))
        return answer(member, member.propose({ txn: request }, caller) as TxnResponse | Promise<TxnResponse>);
      const ready = isSerializable(request) ? undefined : member.linearized();
      if (ready === undefined) return read(member, request, caller);
      // The request's bytes are the socket's only until the first wait.
      const kept = TxnRequest.decode(TxnRequest.encode(request));
      return ready.then(() => read(member, kept, caller));
    },

    async compact({ revision, physical }, context) {
      const caller = authenticator.checkAdmin(context);
      const answered = (await member.propose({ compaction: { revision, physical } }, caller)) as CompactionResponse;
      if (physical) await member.compacted();
      return withHeader(member, answered);
    },
  });
}

/** A transaction that writes nothing. */
function read(member: Member, request: TxnRequest, caller: Caller): TxnResponse {
  const { machine, store } = member;
  checkTxnPermission(machine, machine.auth.current(caller), request);
  const path = comparePath(store, request);
  checkTxnAgainst(machine, request, path);
  return { ...txn(machine, request, path), header: member.header() };
}

interface WithHeader {
  readonly header: ResponseHeader | undefined;
}

/** An answer of the machine, which knows its revision, with who gave it. */
function withHeader<T extends WithHeader>(member: Member, response: T): T {
  return { ...response, header: member.header(response.header!.revision || undefined) };
}

function answer<T extends WithHeader>(member: Member, response: T | Promise<T>): T | Promise<T> {
  return response instanceof Promise
    ? response.then((settled) => withHeader(member, settled))
    : withHeader(member, response);
}
