/** What a request may cost in bytes, as upstream counts it: an estimate on the safe side. Reads and deletes are free. */
import type { PutRequest, RequestOp, TxnRequest } from '#api-etcd/gen/rpc.ts';

/** A key's share of index and pages. */
const keyOverheadBytes = 256;
export const leaseCostBytes = 64;

export function putCost({ key, value }: PutRequest): number {
  return keyOverheadBytes + key.length + value.length;
}

/** The dearer of the two branches. */
export function txnCost({ success, failure }: TxnRequest): number {
  return Math.max(opsCost(success), opsCost(failure));
}

function opsCost(ops: readonly RequestOp[]): number {
  let cost = 0;
  for (const { request } of ops)
    if (request.case === 'requestPut') cost += putCost(request.value);
    else if (request.case === 'requestTxn') cost += txnCost(request.value);
  return cost;
}
