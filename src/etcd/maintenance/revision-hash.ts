/**
 * The hash of what a store holds at a revision, record by record: CRC-32C over the `key` bucket up to there, without what a compaction drops or may have
 * dropped. Equal on every implementation that stores the same bytes. Who walks over the records says which are kept.
 * (upstream: server/storage/mvcc/hash.go)
 */
import type { Version } from '#mvcc/version.ts';
import { crc32c } from '#std/crc32c.ts';

export class RevisionHash {
  readonly #compactRevision: number;
  #hash = crc32c(Buffer.from('key'));
  /** As if nothing was left out; undefined once something is kept. Upstream takes a store that keeps nothing for one that was never compacted. */
  #ofAll: number | undefined;

  /**
   * @param compactRevision what was compacted before, as far as this hash knows; -1 for nothing
   * @param keepsAny whether anything is kept; left out, what is added shows it
   */
  constructor(compactRevision: number, keepsAny = false) {
    this.#compactRevision = compactRevision;
    this.#ofAll = keepsAny ? undefined : this.#hash;
  }

  /** The next record in order of revisions. @param isKept whether a compaction at the hash's revision keeps it */
  add(version: Version, isKept: boolean): void {
    if (isKept) this.#ofAll = undefined;
    // Some releases drop a delete at the very revision, some keep it: it counts on neither.
    if (version.main === this.#compactRevision && version.tombstone) return;
    const isSame = this.#ofAll === this.#hash;
    const counts = isKept || version.main > this.#compactRevision;
    if (counts) this.#hash = after(version, this.#hash);
    if (this.#ofAll !== undefined) this.#ofAll = counts && isSame ? this.#hash : after(version, this.#ofAll);
  }

  get value(): number {
    return this.#ofAll ?? this.#hash;
  }
}

function after(version: Version, hash: number): number {
  return crc32c(version.record, crc32c(recordKey(version), hash));
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
