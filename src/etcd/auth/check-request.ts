/**
 * Whether a caller may do what a request asks for, every part of it: keys of all operations and comparisons, inner transactions too; what
 * is read on the way (`prev_kv`); and the keys of a lease that a key is hung on, because whoever can revoke the lease deletes them.
 * (upstream: server/etcdserver/apply/auth.go)
 */
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from '#api-etcd/gen/rpc.ts';
import { bytesOfKey } from '#mvcc/version.ts';
import type { Lease, Leases } from '../lease/leases.ts';
import type { Caller } from './caller.ts';
import type { AuthStore } from './store.ts';

export interface Guarded {
  readonly auth: AuthStore;
  readonly leases: Leases;
}

/** @throws RpcError, as all of them */
export function checkPutPermission(
  { auth, leases }: Guarded,
  caller: Caller,
  { key, lease, prevKv }: PutRequest,
): void {
  if (!auth.enabled) return;
  auth.checkWrite(caller, key);
  checkLeaseWritePermission({ auth, leases }, caller, lease);
  if (prevKv) auth.checkRead(caller, key);
}

export function checkDeletePermission(
  { auth }: Guarded,
  caller: Caller,
  { key, rangeEnd, prevKv }: DeleteRangeRequest,
): void {
  if (!auth.enabled) return;
  auth.checkWrite(caller, key, rangeEnd);
  if (prevKv) auth.checkRead(caller, key, rangeEnd);
}

/** Both branches count, whichever is taken: what a caller may do does not depend on what is stored. */
export function checkTxnPermission(guarded: Guarded, caller: Caller, { compare, success, failure }: TxnRequest): void {
  const { auth } = guarded;
  if (!auth.enabled) return;
  for (const { key, rangeEnd } of compare) auth.checkRead(caller, key, rangeEnd);
  for (const op of success) checkOpPermission(guarded, caller, op);
  for (const op of failure) checkOpPermission(guarded, caller, op);
}

function checkOpPermission(guarded: Guarded, caller: Caller, { request }: RequestOp): void {
  switch (request.case) {
    case 'requestRange':
      guarded.auth.checkRead(caller, request.value.key, request.value.rangeEnd);
      return;
    case 'requestPut':
      checkPutPermission(guarded, caller, request.value);
      return;
    case 'requestDeleteRange':
      checkDeletePermission(guarded, caller, request.value);
      return;
    case 'requestTxn':
      checkTxnPermission(guarded, caller, request.value);
      return;
    case undefined:
      return;
  }
}

/** Revoking a lease, keeping it alive and hanging a key on it: for those who may write all of its keys. */
export function checkLeaseWritePermission({ auth, leases }: Guarded, caller: Caller, id: bigint): void {
  const lease = leases.get(id);
  if (lease === undefined || auth.isAdmin(caller)) return;
  for (const key of lease.keys) auth.checkWrite(caller, bytesOfKey(key));
}

/** Seeing a lease's keys: for those who may read all of them. */
export function checkLeaseReadPermission({ auth }: Guarded, caller: Caller, lease: Lease | undefined): void {
  if (lease === undefined || auth.isAdmin(caller)) return;
  for (const key of lease.keys) auth.checkRead(caller, bytesOfKey(key));
}
