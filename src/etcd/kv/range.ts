/** Range of the API over a store: revision filters, orders, limit, keys only. */
import { KeyValue } from '#api-etcd/gen/kv.ts';
import {
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  type RangeResponse,
} from '#api-etcd/gen/rpc.ts';
import { keyRange, type Store } from '#mvcc/store.ts';
import { compareBytes } from '#std/bytes.ts';
import { headerAt } from '../header.ts';

/**
 * @param isEncodedAtOnce nobody looks at the answer but its encoder
 * @throws RpcError OutOfRange for a compacted or future revision
 */
export function range(store: Store, request: RangeRequest, isEncodedAtOnce = false): RangeResponse {
  const { key, rangeEnd, limit, revision, countOnly, keysOnly } = request;
  const filtered = hasRevisionFilters(request);
  // One more than asked for tells whether there is more; filters and orders need all. (A target without an order sorts what the
  // limit has left: that is upstream's answer too.)
  const fetched = isDefaultOrder(request) && !filtered && limit > 0 ? limit + 1 : 0;
  const found = store.range(keyRange(key, rangeEnd), { revision, limit: fetched, countOnly });
  let kvs: KeyValue[] = isEncodedAtOnce
    ? found.versions.map((version) => version.stored())
    : found.versions.map((version) => version.keyValue());
  if (filtered) kvs = kvs.filter((kv) => passesFilters(kv, request));
  if (request.sortTarget !== RangeRequest_SortTarget.KEY || request.sortOrder === RangeRequest_SortOrder.DESCEND)
    sort(kvs, request);
  const more = limit > 0 && kvs.length > limit;
  if (more) kvs = kvs.slice(0, limit);
  if (keysOnly)
    kvs = kvs.map(({ key, createRevision, modRevision, version, lease }) =>
      KeyValue.create({ key, createRevision, modRevision, version, lease }),
    );
  return { header: headerAt(found.revision), kvs, more, count: found.count };
}

/** Whether answers come in the order that the store has anyway, as upstream decides it: no order given counts as such. */
export function isDefaultOrder({ sortOrder, sortTarget }: RangeRequest): boolean {
  return (
    sortOrder === RangeRequest_SortOrder.NONE ||
    (sortOrder === RangeRequest_SortOrder.ASCEND && sortTarget === RangeRequest_SortTarget.KEY)
  );
}

export function hasRevisionFilters(request: RangeRequest): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return minModRevision !== 0 || maxModRevision !== 0 || minCreateRevision !== 0 || maxCreateRevision !== 0;
}

function passesFilters(
  { modRevision, createRevision }: KeyValue,
  { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision }: RangeRequest,
): boolean {
  return (
    (maxModRevision === 0 || modRevision <= maxModRevision) &&
    (minModRevision === 0 || modRevision >= minModRevision) &&
    (maxCreateRevision === 0 || createRevision <= maxCreateRevision) &&
    (minCreateRevision === 0 || createRevision >= minCreateRevision)
  );
}

function sort(kvs: KeyValue[], { sortOrder, sortTarget }: RangeRequest): void {
  const sign = sortOrder === RangeRequest_SortOrder.DESCEND ? -1 : 1;
  kvs.sort((a, b) => sign * compareBy(sortTarget, a, b));
}

function compareBy(target: RangeRequest_SortTarget, a: KeyValue, b: KeyValue): number {
  switch (target) {
    case RangeRequest_SortTarget.KEY:
      return compareBytes(a.key, b.key);
    case RangeRequest_SortTarget.VERSION:
      return a.version - b.version;
    case RangeRequest_SortTarget.CREATE:
      return a.createRevision - b.createRevision;
    case RangeRequest_SortTarget.MOD:
      return a.modRevision - b.modRevision;
    case RangeRequest_SortTarget.VALUE:
      return compareBytes(a.value, b.value);
  }
}
