/** Sizes of entries: encoded, for limits of messages and pages; of the data alone, for the limit of what is uncommitted. */
import { Entry } from '#api-etcd/gen/raft.ts';

/** Bytes of the encoded entries. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) bytes += Entry.size(entries[i]!);
  return bytes;
}

/** Bytes of the data in the entries: zero for the entry that begins a term and for the one that leaves a joint configuration. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) bytes += entries[i]!.data?.length ?? 0;
  return bytes;
}

/** Entries from `start` to before `end` that fit in `bytesMax` bytes, but one at least when there is one. */
export function sliceWithin(entries: readonly Entry[], start: number, end: number, bytesMax: number): Entry[] {
  if (bytesMax === Infinity || end - start <= 1) return entries.slice(start, end);
  let bytes = Entry.size(entries[start]!);
  let until = start + 1;
  for (; until < end; until++) {
    bytes += Entry.size(entries[until]!);
    if (bytes > bytesMax) break;
  }
  return entries.slice(start, until);
}
