/**
 * A thin, typed client of etcd's API over any channel: a socket to somebody's etcd, or ours in the same process. Requests are
 * partial messages (what is left out has proto3's zero value); errors are RpcErrors as the server worded them, and nothing
 * is retried here except watches, which resume by themselves (`watch-stream.ts`), and calls that met a change of users (`authenticated-channel.ts`).
 */
import {
  CompactionRequest,
  type CompactionResponse,
  DeleteRangeRequest,
  type DeleteRangeResponse,
  KV,
  Lease,
  LeaseGrantRequest,
  type LeaseGrantResponse,
  type LeaseKeepAliveResponse,
  LeaseRevokeRequest,
  type LeaseRevokeResponse,
  Maintenance,
  PutRequest,
  type PutResponse,
  RangeRequest,
  type RangeResponse,
  type StatusResponse,
  TxnRequest,
  type TxnResponse,
} from '#api-etcd/gen/rpc.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import type { Clock } from '#std/clock.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { AuthenticatedChannel } from './authenticated-channel.ts';
import { type WatchItem, type WatchOptions, WatchStream } from './watch-stream.ts';

export interface EtcdClient extends AsyncDisposable {
  range(request: Partial<RangeRequest>, options?: CallOptions): Promise<RangeResponse>;
  put(request: Partial<PutRequest>, options?: CallOptions): Promise<PutResponse>;
  deleteRange(request: Partial<DeleteRangeRequest>, options?: CallOptions): Promise<DeleteRangeResponse>;
  txn(request: Partial<TxnRequest>, options?: CallOptions): Promise<TxnResponse>;
  compact(request: Partial<CompactionRequest>, options?: CallOptions): Promise<CompactionResponse>;
  /** @throws RpcError FailedPrecondition when the id is taken; TTL in seconds, possibly raised by the server */
  leaseGrant(request: Partial<LeaseGrantRequest>, options?: CallOptions): Promise<LeaseGrantResponse>;
  leaseRevoke(request: Partial<LeaseRevokeRequest>, options?: CallOptions): Promise<LeaseRevokeResponse>;
  /** One keep-alive. A lease that is gone answers TTL 0, not an error. */
  leaseKeepAlive(id: bigint, options?: CallOptions): Promise<LeaseKeepAliveResponse>;
  status(options?: CallOptions): Promise<StatusResponse>;
  /**
   * Watches a key or range. All watches of a client share one stream. The iterable ends after `compacted` or `canceled`, when
   * `signal` aborts or when the loop is left; it throws the RpcError that no new attempt can mend.
   */
  watch(options: WatchOptions): AsyncIterable<WatchItem>;
  /** Asks for a `progress` item on every watch of this client that has seen everything; no answer means not yet. */
  requestProgress(): void;
}

/**
 * The channel stays the caller's; disposing the client ends its watches.
 * @param bare may be somebody's already
 * @param timeoutMs deadline of every call that says none itself; watches and keep-alives have none
 */
export function createEtcdClient(bare: Channel, clock: Clock, timeoutMs?: number): EtcdClient {
  const channel = bare instanceof AuthenticatedChannel ? bare : new AuthenticatedChannel(bare, { clock });
  const watches = new WatchStream(channel, clock);
  const unary = <I, O>(method: Method<I, O, 'unary'>, request: I, options?: CallOptions): Promise<O> =>
    channel.unary(method, request, timeoutMs === undefined ? options : { timeoutMs, ...options });
  return {
    range: (request, options) => unary(KV.methods.range, RangeRequest.create(request), options),
    put: (request, options) => unary(KV.methods.put, PutRequest.create(request), options),
    deleteRange: (request, options) => unary(KV.methods.deleteRange, DeleteRangeRequest.create(request), options),
    txn: (request, options) => unary(KV.methods.txn, TxnRequest.create(request), options),
    compact: (request, options) => unary(KV.methods.compact, CompactionRequest.create(request), options),
    leaseGrant: (request, options) => unary(Lease.methods.leaseGrant, LeaseGrantRequest.create(request), options),
    leaseRevoke: (request, options) => unary(Lease.methods.leaseRevoke, LeaseRevokeRequest.create(request), options),
    async leaseKeepAlive(id, options) {
      await using call = channel.open(Lease.methods.leaseKeepAlive, options);
      call.send({ id: id });
      for await (const answer of call.messages) return answer;
      throw new RpcError(Code.Unavailable, 'the keep-alive stream ended without an answer');
    },
    status: (options) => unary(Maintenance.methods.status, {}, options),
    watch: (options) => watches.watch(options),
    requestProgress: () => watches.requestProgress(),
    [Symbol.asyncDispose]: () => watches[Symbol.asyncDispose](),
  };
}

/** The end of the range of all keys that begin with `prefix`: the first key after them; `\0` (no end) if there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if (prefix[i]! === 0xff) continue;
    // A copy: a Buffer's own slice would share its bytes.
    const end = Uint8Array.from(prefix.subarray(0, i + 1));
    end[i]!++;
    return end;
  }
  return Uint8Array.of(0);
}
