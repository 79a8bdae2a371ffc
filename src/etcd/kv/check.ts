/**
 * What is wrong with a KV request by itself, before anybody looks at the store: the same checks, in the same order and with the
 * same answers, as upstream's gRPC layer.
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from '#api-etcd/gen/rpc.ts';
import { type KeyRange, keyRange } from '#mvcc/store.ts';
import { keyOf } from '#mvcc/version.ts';

const sortOrderMax = 2;
const sortTargetMax = 4;

export function checkRange({ key, sortOrder, sortTarget }: RangeRequest): void {
  if (key.length === 0) throw etcdError('emptyKey');
  if (sortOrder < 0 || sortOrder > sortOrderMax || sortTarget < 0 || sortTarget > sortTargetMax)
    throw etcdError('invalidSortOption');
}

export function checkPut({ key, value, lease, ignoreValue, ignoreLease }: PutRequest): void {
  if (key.length === 0) throw etcdError('emptyKey');
  if (ignoreValue && value.length !== 0) throw etcdError('valueProvided');
  if (ignoreLease && lease !== 0n) throw etcdError('leaseProvided');
}

export function checkDeleteRange({ key }: DeleteRangeRequest): void {
  if (key.length === 0) throw etcdError('emptyKey');
}

export function checkTxn(request: TxnRequest, opsMax: number): void {
  checkTxnOps(request, opsMax);
  checkOverlaps(request.success);
  checkOverlaps(request.failure);
}

function checkTxnOps({ compare, success, failure }: TxnRequest, opsMax: number): void {
  const ops = Math.max(compare.length, success.length, failure.length);
  if (ops > opsMax) throw etcdError('tooManyOps');
  for (const { key } of compare) if (key.length === 0) throw etcdError('emptyKey');
  for (const list of [success, failure]) for (const op of list) checkOp(op, opsMax - ops);
}

function checkOp({ request }: RequestOp, opsMax: number): void {
  if (request.case === 'requestRange') checkRange(request.value);
  else if (request.case === 'requestPut') checkPut(request.value);
  else if (request.case === 'requestDeleteRange') checkDeleteRange(request.value);
  else if (request.case === 'requestTxn') checkTxnOps(request.value, opsMax);
  else throw etcdError('keyNotFound');
}

interface Touched {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

/** No key is put twice, or put and deleted, on one path. The two branches of an inner transaction exclude each other. */
function checkOverlaps(ops: readonly RequestOp[]): Touched {
  const deletes: KeyRange[] = [];
  for (const { request } of ops)
    if (request.case === 'requestDeleteRange') deletes.push(keyRange(request.value.key, request.value.rangeEnd));
  const puts = new Set<string>();
  const refuse = (key: string) => {
    if (deletes.some(({ from, to }) => key >= from && (to === undefined || key < to))) throw etcdError('duplicateKey');
  };
  for (const { request } of ops) {
    if (request.case !== 'requestTxn') continue;
    const success = checkOverlaps(request.value.success);
    const failure = checkOverlaps(request.value.failure);
    for (const key of success.puts) {
      if (puts.has(key)) throw etcdError('duplicateKey');
      refuse(key);
      puts.add(key);
    }
    for (const key of failure.puts) {
      if (puts.has(key) && !success.puts.has(key)) throw etcdError('duplicateKey');
      refuse(key);
      puts.add(key);
    }
    deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const { request } of ops) {
    if (request.case !== 'requestPut') continue;
    const key = keyOf(request.value.key);
    if (puts.has(key)) throw etcdError('duplicateKey');
    refuse(key);
    puts.add(key);
  }
  return { puts, deletes };
}
