/**
 * What a user may read and write: the key ranges of all their roles, merged. Keys are byte strings of the store (`keyOf`); an end that is
 * undefined is no end. (upstream: server/auth/range_perm_cache.go)
 */
import { type Permission, Permission_Type } from '#api-etcd/gen/auth.ts';
import { keyOf } from '#mvcc/version.ts';

interface Interval {
  readonly from: string;
  /** Exclusive. */
  readonly to: string | undefined;
}

export class Permissions {
  readonly #read: readonly Interval[];
  readonly #write: readonly Interval[];

  constructor(permissions: readonly Permission[]) {
    const of = (type: Permission_Type) =>
      permissions
        .filter(({ permType }) => permType === type || permType === Permission_Type.READWRITE)
        .map(intervalOf)
        .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
    this.#read = of(Permission_Type.READ);
    this.#write = of(Permission_Type.WRITE);
  }

  /** @param rangeEnd as in requests: empty is one key, `\0` is no end */
  mayRead(key: Uint8Array, rangeEnd: Uint8Array): boolean {
    return covers(this.#read, key, rangeEnd);
  }

  mayWrite(key: Uint8Array, rangeEnd: Uint8Array): boolean {
    return covers(this.#write, key, rangeEnd);
  }
}

/** Whether a range can be a permission: one key, from a key up to a later one, or without end. */
export function isPermissionRange(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  if (key.length === 0) return false;
  return rangeEnd.length === 0 || isOpen(rangeEnd) || keyOf(key) < keyOf(rangeEnd);
}

function intervalOf({ key, rangeEnd }: Permission): Interval {
  const from = keyOf(key);
  if (rangeEnd.length === 0) return { from, to: `${from}\0` };
  return { from, to: isOpen(rangeEnd) ? undefined : keyOf(rangeEnd) };
}

/** Several intervals may cover a range together, if there is no gap between them. */
function covers(intervals: readonly Interval[], key: Uint8Array, rangeEnd: Uint8Array): boolean {
  const from = keyOf(key);
  if (rangeEnd.length === 0) return intervals.some((interval) => interval.from <= from && isBefore(from, interval.to));
  const to = isOpen(rangeEnd) ? undefined : keyOf(rangeEnd);
  let first: string | undefined;
  let end: string | undefined = '';
  for (const interval of intervals) {
    if (!isBefore(interval.from, to) || !isBefore(from, interval.to)) continue;
    if (first === undefined) {
      first = interval.from;
      end = interval.to;
      continue;
    }
    if (end !== undefined && end < interval.from) return false;
    if (end !== undefined && (interval.to === undefined || interval.to > end)) end = interval.to;
  }
  return first !== undefined && first <= from && (end === undefined || (to !== undefined && end >= to));
}

function isBefore(key: string, end: string | undefined): boolean {
  return end === undefined || key < end;
}

function isOpen(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}
