/** The hash that members compare, made by a walk over a store: see `revision-hash.ts`. */
import { etcdError } from '#api-etcd/errors.ts';
import { inSlices } from '#host/event-loop.ts';
import type { Store } from '#mvcc/store.ts';
import { type Version, versionAt } from '#mvcc/version.ts';
import { RevisionHash } from './revision-hash.ts';

export interface KvHash {
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

/** Hashed in one turn of the event loop, a few milliseconds: so many records, or fewer that are large. */
const recordsPerTurn = 5000;
const bytesPerRecord = 512;

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
  const keepsAny = store.holdsAny(hashRevision);
  const hash = new RevisionHash(compactRevision, keepsAny);
  let left = recordsPerTurn;
  for (const version of store.all()) {
    if (version.main > hashRevision) break;
    left -= 1 + version.recordBytes / bytesPerRecord;
    if (left <= 0) {
      left = recordsPerTurn;
      yield;
    }
    // What was not compacted counts, kept or not; finding out would look at all newer versions of a key for each of its older ones.
    hash.add(version, keepsAny && version.main <= compactRevision && isKept(store, version, hashRevision));
  }
  return { hash: hash.value, compactRevision, hashRevision };
}

/** Whether a compaction at `revision` would keep the version. While one is under way, a key may have copies of what the log still has as it was. */
function isKept(store: Store, version: Version, revision: number): boolean {
  if (version.tombstone) return false;
  const current = versionAt(store.newest(version.key), revision);
  return current !== undefined && current.main === version.main && current.sub === version.sub;
}
