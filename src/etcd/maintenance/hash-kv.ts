/**
 * The hash that members compare: CRC-32C over the records of the `key` bucket up to a revision, without those that a compaction drops
 * or may have dropped. Equal on every implementation that stores the same bytes (upstream: server/storage/mvcc/hash.go).
 */
import { etcdError } from '#api-etcd/errors.ts';
import { inSlices } from '#host/event-loop.ts';
import type { Store } from '#mvcc/store.ts';
import { type Version, versionAt } from '#mvcc/version.ts';
import { crc32c } from '#std/crc32c.ts';

export interface KvHash {
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

/** Records hashed in one turn of the event loop: a few milliseconds. */
const recordsPerTurn = 5000;

/**
 * A slice each turn of the event loop.
 * @param store a fork: nobody changes it meanwhile
 * @param revision 0 is the newest
 * @throws RpcError for a revision that is compacted or still to come
 */
export async function hashKv(store: Store, revision: number, signal?: AbortSignal): Promise<KvHash> {
  return inSlices(hashSteps(store, revision), signal);
}

function* hashSteps(store: Store, revision: number): Generator<void, KvHash> {
  const { compactRevision } = store;
  if (revision > 0 && revision < compactRevision) throw etcdError('compacted');
  if (revision > store.revision) throw etcdError('futureRevision');
  const hashRevision = revision === 0 ? store.revision : revision;
  let hash = crc32c(Buffer.from('key'));
  let count = 0;
  for (const version of store.all()) {
    if (version.main > hashRevision) break;
    if (++count % recordsPerTurn === 0) yield;
    if (version.main <= compactRevision && !isKept(store, version, hashRevision)) continue;
    if (version.main === compactRevision && version.tombstone) continue;
    hash = crc32c(version.record, crc32c(recordKey(version), hash));
  }
  return { hash, compactRevision, hashRevision };
}

/** The key of a record in the `key` bucket: the revision, and a `t` for a tombstone. */
export function recordKey({ main, sub, tombstone }: Version): Buffer {
  const key = Buffer.allocUnsafe(tombstone ? 18 : 17);
  key.writeUInt32BE(Math.floor(main / 2 ** 32), 0);
  key.writeUInt32BE(main >>> 0, 4);
  key[8] = 0x5f;
  key.writeUInt32BE(0, 9);
  key.writeUInt32BE(sub, 13);
  if (tombstone) key[17] = 0x74;
  return key;
}

/** Whether a compaction at `revision` would keep the version. */
function isKept(store: Store, version: Version, revision: number): boolean {
  return !version.tombstone && versionAt(store.newest(version.key), revision) === version;
}
