/**
 * What a request may take of the memory while it runs: its own bytes, and its answer, from what the store knows without looking at the data. A guess: what the
 * answer really is counts from the moment that it is there until the client has it.
 */
import {
  type DeleteRangeRequest,
  KV,
  Maintenance,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from '#api-etcd/gen/rpc.ts';
import { type KeyRange, keyRange, type Store } from '#mvcc/store.ts';
import { keyOf } from '#mvcc/version.ts';
import type { Method } from '#wire/grpc/service.ts';
import { hasRevisionFilters, isDefaultOrder } from '../kv/range.ts';

/** Of a call and its request, whatever is in it. */
const callBytes = 512;
/** Of a key in an answer, beside its record. */
const keyBytes = 256;
/** Of a key that is looked at and not answered. */
const seenBytes = 64;
/** What a stream of the backend's pages has under way. */
const snapshotBytes = 512 << 10;

export interface Estimated {
  /** Of the request and all that comes of it; 0 for what is not counted: leases, watches, health, and what is small and rare. */
  readonly bytes: number;
  /** Of the request alone: what it takes while it waits. */
  readonly requestBytes: number;
}

/** @param chunkBytesMax bytes of an answer that comes in pieces which may be under way */
export function estimate(method: Method, request: unknown, store: Store, chunkBytesMax: number): Estimated {
  switch (method) {
    case KV.methods.put: {
      const put = request as PutRequest;
      const requestBytes = callBytes + put.key.length + put.value.length;
      return { bytes: requestBytes + ofPut(store, put), requestBytes };
    }
    case KV.methods.range: {
      const range = request as RangeRequest;
      return { bytes: callBytes + ofRange(store, range), requestBytes: callBytes };
    }
    case KV.methods.txn: {
      const txn = request as TxnRequest;
      const requestBytes = callBytes + sizeOfTxn(txn);
      return { bytes: requestBytes + ofTxn(store, txn), requestBytes };
    }
    case KV.methods.deleteRange: {
      const deletes = request as DeleteRangeRequest;
      return { bytes: callBytes + ofDelete(store, deletes), requestBytes: callBytes };
    }
    case KV.methods.rangeStream: {
      const range = request as RangeRequest;
      return { bytes: callBytes + Math.min(ofRange(store, range), chunkBytesMax), requestBytes: callBytes };
    }
    case Maintenance.methods.snapshot:
      return { bytes: snapshotBytes, requestBytes: callBytes };
    default:
      return notCounted;
  }
}

const notCounted: Estimated = { bytes: 0, requestBytes: 0 };

/** What goes into the log is the request once more. */
function ofPut(store: Store, { key, value, prevKv }: PutRequest): number {
  const logged = key.length + value.length;
  return prevKv ? logged + ofKey(store, keyOf(key)) : logged;
}

function ofRange(store: Store, request: RangeRequest): number {
  if (request.key.length === 0) return 0;
  const range = keyRange(request.key, request.rangeEnd);
  if (request.countOnly) return 0;
  if (range.isOneKey) return ofKey(store, range.from);
  const count = store.countLive(range);
  const { limit } = request;
  if (limit === 0 || limit >= count) return ofKeys(store, count);
  // Filters and orders look at all of them; limits are applied to what is left.
  return ofKeys(store, limit) + (isDefaultOrder(request) && !hasRevisionFilters(request) ? 0 : count * keyBytes);
}

function ofDelete(store: Store, { key, rangeEnd, prevKv }: DeleteRangeRequest): number {
  if (key.length === 0) return 0;
  const range: KeyRange = keyRange(key, rangeEnd);
  if (range.isOneKey) return prevKv ? ofKey(store, range.from) : 0;
  const count = store.countLive(range);
  return prevKv ? ofKeys(store, count) : count * seenBytes;
}

/** The dearer of the two branches. */
function ofTxn(store: Store, { success, failure }: TxnRequest): number {
  return Math.max(ofOps(store, success), ofOps(store, failure));
}

function ofOps(store: Store, ops: readonly RequestOp[]): number {
  let bytes = 0;
  for (const { request } of ops)
    if (request.case === 'requestRange') bytes += ofRange(store, request.value);
    else if (request.case === 'requestPut') bytes += ofPut(store, request.value);
    else if (request.case === 'requestDeleteRange') bytes += ofDelete(store, request.value);
    else if (request.case === 'requestTxn') bytes += ofTxn(store, request.value);
  return bytes;
}

/** Its own keys and values, and what stands around them. */
function sizeOfTxn({ compare, success, failure }: TxnRequest): number {
  let bytes = compare.length * keyBytes;
  for (const list of [success, failure])
    for (const { request } of list) {
      bytes += seenBytes;
      if (request.case === 'requestPut') bytes += request.value.key.length + request.value.value.length;
      else if (request.case === 'requestTxn') bytes += sizeOfTxn(request.value);
    }
  return bytes;
}

function ofKey(store: Store, key: string): number {
  const version = store.get(key);
  return version === undefined ? 0 : keyBytes + version.recordBytes;
}

/** By what a record takes on average. */
function ofKeys(store: Store, count: number): number {
  const { recordBytes, versionCount } = store;
  return versionCount === 0 ? 0 : Math.ceil(count * (recordBytes / versionCount + keyBytes));
}
