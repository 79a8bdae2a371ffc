/**
 * What a member's store had for a hash at its last compactions: compactions happen at the same revisions on all members, so that these can be compared
 * long after, with no clock and no revision to agree on first. Each covers what the compaction drops, too. They are forgotten when the member stops.
 * (upstream: hashStorage in server/storage/mvcc/hash.go)
 */
import type { CompactionWitness } from '#mvcc/compaction.ts';
import type { KvHash } from './hash-kv.ts';
import { RevisionHash } from './revision-hash.ts';

/** Upstream's figure. */
const keptMax = 10;

export class CompactionHashes {
  /** The newest last. `compactRevision` of each is that of the compaction before. */
  #kept: readonly KvHash[] = [];

  /** Of the compaction at this very revision. */
  at(revision: number): KvHash | undefined {
    return this.#kept.find(({ hashRevision }) => hashRevision === revision);
  }

  /** Those after a revision, the newest first. */
  newestFirst(after: number): readonly KvHash[] {
    return this.#kept.filter(({ hashRevision }) => hashRevision > after).reverse();
  }

  clear(): void {
    this.#kept = [];
  }

  /**
   * Makes the hash while a compaction is done.
   * @param before revision of the compaction before, -1 for none; without it the hash would be of something else than the others'
   */
  witness(hashRevision: number, before: number | undefined): CompactionWitness | undefined {
    if (before === undefined) return undefined;
    const hash = new RevisionHash(before);
    return {
      sees: (version, isKept) => hash.add(version, isKept),
      done: () => {
        const made = { hash: hash.value, compactRevision: before, hashRevision };
        this.#kept = [...this.#kept, made].sort((a, b) => a.hashRevision - b.hashRevision).slice(-keptMax);
      },
    };
  }
}
