/**
 * Put, DeleteRange and Txn on a store and its leases. A request is checked completely against the store before the first
 * change: a write never fails half-way.
 */
import { etcdError } from '#api-etcd/errors.ts';
import { KeyValue } from '#api-etcd/gen/kv.ts';
import {
  type Compare,
  Compare_CompareResult,
  Compare_CompareTarget,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type PutRequest,
  type PutResponse,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse,
} from '#api-etcd/gen/rpc.ts';
import { keyRange, type Store } from '#mvcc/store.ts';
import { keyOf } from '#mvcc/version.ts';
import { compareBytes } from '#std/bytes.ts';
import { headerAt } from '../header.ts';
import type { Leases } from '../lease/leases.ts';
import { range } from './range.ts';

export interface Target {
  readonly store: Store;
  readonly leases: Leases;
}

/** Everything that may still be wrong with a put once its form was checked. */
export function checkPutAgainst({ store, leases }: Target, { key, lease, ignoreValue, ignoreLease }: PutRequest): void {
  if (lease !== 0n && leases.get(lease) === undefined) throw etcdError('leaseNotFound');
  if ((ignoreValue || ignoreLease) && store.get(keyOf(key)) === undefined) throw etcdError('keyNotFound');
}

/** Inside a write of the store; after {@link checkPutAgainst}. */
export function put({ store, leases }: Target, request: PutRequest): PutResponse {
  const key = keyOf(request.key);
  const needsPrevious = request.prevKv || request.ignoreValue || request.ignoreLease;
  const previous = needsPrevious ? store.get(key)?.keyValue() : undefined;
  const lease = request.ignoreLease ? previous!.lease : request.lease;
  store.put(request.key, request.ignoreValue ? previous!.value : request.value, lease);
  leases.attach(key, lease);
  return { header: headerAt(store.viewRevision), prevKv: request.prevKv ? previous : undefined };
}

/** Inside a write of the store. */
export function deleteRange(
  { store, leases }: Target,
  { key, rangeEnd, prevKv }: DeleteRangeRequest,
): DeleteRangeResponse {
  const deleted = store.deleteRange(keyRange(key, rangeEnd));
  for (const version of deleted) leases.attach(version.key, 0n);
  return {
    header: headerAt(store.viewRevision),
    deleted: deleted.length,
    prevKvs: prevKv ? deleted.map((version) => version.keyValue()) : [],
  };
}

/** Which branch every transaction on the way takes: one entry for itself, then those of its inner ones, in order. */
export type TxnPath = readonly boolean[];

/** All comparisons, inner ones too, look at the store as it was before. */
export function comparePath(store: Store, request: TxnRequest): TxnPath {
  const succeeded = request.compare.every((compare) => holds(store, compare));
  const path = [succeeded];
  for (const { request: op } of branch(request, succeeded))
    if (op.case === 'requestTxn') path.push(...comparePath(store, op.value));
  return path;
}

/** @throws RpcError for whatever op on the path cannot be done */
export function checkTxnAgainst(target: Target, request: TxnRequest, path: TxnPath): void {
  const { store } = target;
  walk(request, path, ({ request: op }) => {
    if (op.case === 'requestPut') checkPutAgainst(target, op.value);
    if (op.case !== 'requestRange') return;
    const { revision } = op.value;
    if (revision === 0) return;
    if (revision > store.viewRevision) throw etcdError('futureRevision');
    if (revision < store.compactRevision) throw etcdError('compacted');
  });
}

/** Executes the ops on the path. Inside a write of the store unless the transaction only reads. */
export function txn(target: Target, request: TxnRequest, path: TxnPath): TxnResponse {
  return txnAlong(target, request, path[Symbol.iterator]());
}

function txnAlong(target: Target, request: TxnRequest, path: Iterator<boolean>): TxnResponse {
  const succeeded = path.next().value === true;
  const execute = ({ request: op }: RequestOp): ResponseOp['response'] => {
    switch (op.case) {
      case 'requestRange':
        return { case: 'responseRange', value: range(target.store, op.value) };
      case 'requestPut':
        return { case: 'responsePut', value: put(target, op.value) };
      case 'requestDeleteRange':
        return { case: 'responseDeleteRange', value: deleteRange(target, op.value) };
      case 'requestTxn':
        return { case: 'responseTxn', value: txnAlong(target, op.value, path) };
      case undefined:
        return { case: undefined };
    }
  };
  const responses = branch(request, succeeded).map((op) => ({ response: execute(op) }));
  return { header: headerAt(0), succeeded, responses };
}

/** Only ranges: needs no entry in the log. An inner transaction counts as a write, as upstream has it. */
export function isReadOnly({ success, failure }: TxnRequest): boolean {
  const reads = ({ request }: RequestOp) => request.case === 'requestRange';
  return success.every(reads) && failure.every(reads);
}

/** Asks for nothing newer than what this member has. */
export function isSerializable({ success, failure }: TxnRequest): boolean {
  const stale = ({ request }: RequestOp) => request.case === 'requestRange' && request.value.serializable;
  return success.every(stale) && failure.every(stale);
}

function branch(request: TxnRequest, succeeded: boolean): readonly RequestOp[] {
  return succeeded ? request.success : request.failure;
}

function walk(request: TxnRequest, path: TxnPath, visit: (op: RequestOp) => void): void {
  const steps = path[Symbol.iterator]();
  const along = (inner: TxnRequest) => {
    for (const op of branch(inner, steps.next().value === true))
      if (op.request.case === 'requestTxn') along(op.request.value);
      else visit(op);
  };
  along(request);
}

/** Holds for every key of the range. A key that is not there compares as zeros, and never by value. */
function holds(store: Store, compare: Compare): boolean {
  const { versions } = store.range(keyRange(compare.key, compare.rangeEnd));
  if (versions.length === 0)
    return compare.target !== Compare_CompareTarget.VALUE && holdsFor(compare, KeyValue.create());
  return versions.every((version) => holdsFor(compare, version.keyValue()));
}

function holdsFor({ target, targetUnion: wanted, result }: Compare, kv: KeyValue): boolean {
  const difference = (() => {
    switch (target) {
      case Compare_CompareTarget.VALUE:
        return compareBytes(kv.value, wanted.case === 'value' ? wanted.value : new Uint8Array(0));
      case Compare_CompareTarget.CREATE:
        return kv.createRevision - (wanted.case === 'createRevision' ? wanted.value : 0);
      case Compare_CompareTarget.MOD:
        return kv.modRevision - (wanted.case === 'modRevision' ? wanted.value : 0);
      case Compare_CompareTarget.VERSION:
        return kv.version - (wanted.case === 'version' ? wanted.value : 0);
      case Compare_CompareTarget.LEASE: {
        const lease = wanted.case === 'lease' ? wanted.value : 0n;
        return kv.lease < lease ? -1 : kv.lease > lease ? 1 : 0;
      }
    }
  })();
  switch (result) {
    case Compare_CompareResult.EQUAL:
      return difference === 0;
    case Compare_CompareResult.NOT_EQUAL:
      return difference !== 0;
    case Compare_CompareResult.GREATER:
      return difference > 0;
    case Compare_CompareResult.LESS:
      return difference < 0;
  }
}
