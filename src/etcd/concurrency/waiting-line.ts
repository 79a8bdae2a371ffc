/**
 * The recipe that locks and elections share: everybody puts a key of their own under one prefix, hung on their lease; who came first holds
 * it, the others wait until every key before theirs is gone. All of it goes through the services that clients use, as the caller: so
 * permissions, limits and leases are theirs. (upstream: client/v3/concurrency)
 */
import { etcdErrorMessage } from '#api-etcd/errors.ts';
import { type Event, Event_EventType, type KeyValue } from '#api-etcd/gen/kv.ts';
import {
  Compare,
  KV,
  Lease,
  LeaseGrantRequest,
  PutRequest,
  RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  type RangeResponse,
  type RequestOp,
  type ResponseHeader,
  TxnRequest,
  type TxnResponse,
  Watch,
  WatchCreateRequest,
} from '#api-etcd/gen/rpc.ts';
import type { CallContext, CallOptions, Channel } from '#rpc/call.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

/** Seconds that a lease lasts which somebody left for us to grant. */
const sessionTtlSeconds = 60;

export interface WatchedEvents {
  readonly header: ResponseHeader;
  readonly events: readonly Event[];
}

/** The services of this member, as one caller sees them. */
export class WaitingLine {
  readonly #channel: Channel;
  readonly #options: CallOptions;
  readonly #prefix: Buffer;

  /** @param name the prefix is it and a slash */
  constructor(channel: Channel, { metadata, signal }: Pick<CallContext, 'metadata' | 'signal'>, name: Uint8Array) {
    this.#channel = channel;
    this.#options = { metadata, signal };
    this.#prefix = Buffer.concat([name, Buffer.from('/')]);
  }

  /** The same, for what has to be done though the caller has gone. */
  get #afterwards(): CallOptions {
    return { ...this.#options, signal: undefined } as CallOptions;
  }

  keyOf(lease: bigint): Buffer {
    return Buffer.concat([this.#prefix, Buffer.from(lease.toString(16))]);
  }

  /** The lease that was given, or a new one for 0. */
  async lease(id: bigint): Promise<bigint> {
    if (id !== 0n) return id;
    const request = LeaseGrantRequest.create({ ttl: sessionTtlSeconds });
    return (await this.#unary(() => this.#channel.unary(Lease.methods.leaseGrant, request, this.#options))).id;
  }

  txn(request: Partial<TxnRequest>): Promise<TxnResponse> {
    return this.#unary(() => this.#channel.unary(KV.methods.txn, TxnRequest.create(request), this.#options));
  }

  range(request: Partial<RangeRequest>): Promise<RangeResponse> {
    return this.#unary(() => this.#channel.unary(KV.methods.range, RangeRequest.create(request), this.#options));
  }

  /** Whoever came first. */
  first(): Promise<RangeResponse> {
    return this.range(firstCreated(this.#prefix));
  }

  /** @param alsoWhenCancelled the caller may be gone, its key must not stay */
  async remove(key: Uint8Array, { alsoWhenCancelled = false } = {}): Promise<ResponseHeader | undefined> {
    const options = alsoWhenCancelled ? this.#afterwards : this.#options;
    const request = { key, rangeEnd: new Uint8Array(0), prevKv: false };
    return (await this.#unary(() => this.#channel.unary(KV.methods.deleteRange, request, options))).header;
  }

  /** Deletes the key if it is still the one that was created at `revision`. */
  async removeCreatedAt(key: Uint8Array, revision: number, { alsoWhenCancelled = false } = {}) {
    const options = alsoWhenCancelled ? this.#afterwards : this.#options;
    const request = TxnRequest.create({ compare: [createdAt(key, revision)], success: [deleteOp(key)] });
    return (await this.#unary(() => this.#channel.unary(KV.methods.txn, request, options))).header;
  }

  /** Resolves when no key of the line is older than `createRevision`. */
  async turn(createRevision: number): Promise<void> {
    for (;;) {
      const { kvs, header } = await this.range({
        key: this.#prefix,
        rangeEnd: prefixEnd(this.#prefix),
        sortOrder: RangeRequest_SortOrder.DESCEND,
        sortTarget: RangeRequest_SortTarget.CREATE,
        limit: 1,
        maxCreateRevision: createRevision - 1,
      });
      const before = kvs[0];
      if (before === undefined) return;
      await this.#deleted(before.key, header!.revision);
    }
  }

  /** What happens to a key, or to the whole line, from a revision on. @throws RpcError when the server ends it */
  async *watch(key: Uint8Array | undefined, startRevision: number): AsyncGenerator<WatchedEvents> {
    await using call = this.#channel.open(Watch.methods.watch, this.#options);
    const range = key === undefined ? { key: this.#prefix, rangeEnd: prefixEnd(this.#prefix) } : { key };
    const value = WatchCreateRequest.create({ ...range, startRevision });
    call.send({ requestUnion: { case: 'createRequest', value } });
    for await (const { header, events, canceled, compactRevision, cancelReason } of call.messages) {
      if (canceled)
        throw new RpcError(Code.Unknown, compactRevision > 0 ? etcdErrorMessage('compacted') : cancelReason);
      if (events.length > 0) yield { header: header!, events };
    }
  }

  async #deleted(key: Uint8Array, fromRevision: number): Promise<void> {
    for await (const { events } of this.watch(key, fromRevision))
      if (events.some(({ type }) => type === Event_EventType.DELETE)) return;
    throw new RpcError(Code.Unknown, 'lost watcher waiting for delete');
  }

  /** Upstream's server is its own client here: errors lose their code on the way. */
  async #unary<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const { code, message } = RpcError.from(error);
      if (code === Code.Canceled || code === Code.DeadlineExceeded) throw error;
      throw new RpcError(Code.Unknown, message, { cause: error });
    }
  }
}

export function createdAt(key: Uint8Array, createRevision: number): Compare {
  return Compare.create({ key, target: 1, result: 0, targetUnion: { case: 'createRevision', value: createRevision } });
}

export function putOp(key: Uint8Array, value: Uint8Array, lease: bigint): RequestOp {
  return { request: { case: 'requestPut', value: PutRequest.create({ key, value, lease }) } };
}

export function getOp(key: Uint8Array): RequestOp {
  return { request: { case: 'requestRange', value: RangeRequest.create({ key }) } };
}

export function firstCreatedOp(name: Uint8Array): RequestOp {
  const request = firstCreated(Buffer.concat([name, Buffer.from('/')]));
  return { request: { case: 'requestRange', value: RangeRequest.create(request) } };
}

/** The keys that the nth operation of a transaction found. */
export function keysOf({ responses }: TxnResponse, at: number): readonly KeyValue[] {
  const response = responses[at]?.response;
  return response?.case === 'responseRange' ? response.value.kvs : [];
}

function deleteOp(key: Uint8Array): RequestOp {
  return { request: { case: 'requestDeleteRange', value: { key, rangeEnd: new Uint8Array(0), prevKv: false } } };
}

function firstCreated(prefix: Buffer): Partial<RangeRequest> {
  return {
    key: prefix,
    rangeEnd: prefixEnd(prefix),
    sortOrder: RangeRequest_SortOrder.ASCEND,
    sortTarget: RangeRequest_SortTarget.CREATE,
    limit: 1,
  };
}

/** The prefix ends in a slash: what follows all of its keys ends in the character after it. */
function prefixEnd(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1]! += 1;
  return end;
}
