/**
 * What the members have agreed on, as they apply it: the truth that everything else is checked against. The first member to apply a revision says what it is;
 * every other one must apply the same bytes.
 */
import type { Version } from '#mvcc/version.ts';
import type { Kv } from './linearizability/store-model.ts';
import type { World } from './world/world.ts';

/** One change of one key. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  /** Undefined for a deletion. */
  readonly kv: Kv | undefined;
  /** The key before. */
  readonly before: Kv | undefined;
  /** As it is stored; empty where only a watch has told of it. */
  readonly record: Buffer;
}

export interface Revision {
  readonly changes: readonly Change[];
  /** When it was first applied, and the place of that among all events. */
  readonly atMs: number;
  readonly place: number;
}

/** Revisions in their order, and what each has changed. */
export class RevisionLog {
  /** From revision 2 on, without a gap. */
  readonly #revisions: Revision[] = [];
  readonly #kvs = new Map<string, Kv>();

  get lastRevision(): number {
    return this.#revisions.length + 1;
  }

  at(revision: number): Revision | undefined {
    return this.#revisions[revision - 2];
  }

  /** All of them, oldest first, with their numbers. */
  *entries(): Generator<readonly [number, Revision]> {
    for (const [i, revision] of this.#revisions.entries()) yield [i + 2, revision];
  }

  /** Keys as of the last revision. */
  get kvs(): ReadonlyMap<string, Kv> {
    return this.#kvs;
  }

  /** Changes after one revision, up to and including another. */
  changes(after: number, upTo: number, wanted: (key: string) => boolean): Change[] {
    const found: Change[] = [];
    for (let revision = Math.max(2, after + 1); revision <= upTo; revision++)
      for (const change of this.at(revision)?.changes ?? []) if (wanted(change.key)) found.push(change);
    return found;
  }

  /** The next revision. */
  append(changes: readonly Omit<Change, 'before'>[], when: Pick<Revision, 'atMs' | 'place'>): void {
    const whole = changes.map((change): Change => {
      const { key, kv } = change;
      const before = this.#kvs.get(key);
      if (kv === undefined) this.#kvs.delete(key);
      else this.#kvs.set(key, kv);
      return { ...change, before };
    });
    this.#revisions.push({ changes: whole, ...when });
  }
}

export class CommittedLog extends RevisionLog {
  readonly #world: World;
  readonly #violated: (what: string) => void;
  /** What lies before it may have been compacted away: somebody asked for it. */
  compactionAsked = 0;

  constructor(world: World, violated: (what: string) => void) {
    super();
    this.#world = world;
    this.#violated = violated;
  }

  /** A member has applied these, all of one revision. */
  applied(member: string, versions: readonly Version[]): void {
    const revision = versions[0]!.main;
    const known = this.at(revision);
    if (known !== undefined) {
      const same =
        known.changes.length === versions.length &&
        versions.every((version, i) => known.changes[i]!.record.equals(version.record));
      if (!same) this.#violated(`${member} has applied another revision ${revision} than the others`);
      return;
    }
    if (revision !== this.lastRevision + 1) {
      this.#violated(`${member} applies revision ${revision} after ${this.lastRevision}`);
      return;
    }
    const changes = versions.map((version) => ({
      revision,
      key: version.key,
      kv: version.tombstone ? undefined : kvOf(version.keyValue()),
      record: Buffer.from(version.record),
    }));
    this.append(changes, { atMs: this.#world.monotonicMs(), place: this.#world.nextPlace() });
  }
}

/** A key of the wire as the model has it. */
export function kvOf(kv: {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}): Kv {
  const { createRevision, modRevision, version, lease } = kv;
  return { key: latin1(kv.key), value: latin1(kv.value), createRevision, modRevision, version, lease };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
