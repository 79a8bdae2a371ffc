/**
 * What a cluster has done, as one hash: every committed write in order, with its revision, key and value. Two runs with equal hashes did the same; it is how a
 * test knows that a seed repeats.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Version } from '#mvcc/version.ts';

/** One committed change of the store. */
export interface Write {
  /** etcd's revision; writes of one transaction share it. */
  readonly revision: number;
  /** `/registry/pods/default/web`. */
  readonly key: string;
  /** As stored, JSON for Kubernetes' objects; undefined for a deletion. */
  readonly value: Uint8Array | undefined;
}

export class Trace {
  readonly #hash: Hash;
  readonly #onWrite: ((write: Write) => void) | undefined;

  constructor(onWrite?: (write: Write) => void, hash = createHash('sha256')) {
    this.#hash = hash;
    this.#onWrite = onWrite;
  }

  /** Of everything so far; goes on from there. */
  fork(): Trace {
    return new Trace(this.#onWrite, this.#hash.copy());
  }

  add(changes: readonly Version[]): void {
    for (const change of changes) {
      const { record, main, tombstone } = change;
      // The length first, so that no two histories are the same bytes.
      this.#hash.update(`${main} ${tombstone ? 'delete' : 'put'} ${record.length}\n`).update(record);
      if (this.#onWrite === undefined) continue;
      const { key, value } = change.keyValue();
      this.#onWrite({ revision: main, key: Buffer.from(key).toString('utf8'), value: tombstone ? undefined : value });
    }
  }

  /** In hex. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}
