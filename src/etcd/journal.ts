/**
 * The log of a cluster of one: an entry is committed when it is on disk. Entries that arrive while a sync is under way share the
 * next one. What it writes is what upstream's member alone in its cluster would write: configuration, terms, hard states.
 */
import { etcdError } from '#api-etcd/errors.ts';
import { Entry, EntryType, HardState } from '#api-etcd/gen/raft.ts';
import type { Metadata } from '#api-etcd/gen/server_metadata.ts';
import type { Snapshot } from '#api-etcd/gen/wal.ts';
import type { Disk } from '#host/disk.ts';
import { nextTurn } from '#host/event-loop.ts';
import type { Clock } from '#std/clock.ts';
import { Wal } from '#storage/wal/wal.ts';
import { firstEntries } from './cluster/change-entry.ts';
import type { ClusterMember } from './cluster/members.ts';
import type { Journal } from './member.ts';

/** Entries that share a sync weigh at most this. */
const batchBytesMax = 8 << 20;

interface Waiting {
  readonly data: Uint8Array;
  readonly done: (error: unknown, index: number) => void;
}

export interface OpenJournal {
  readonly journal: DiskJournal;
  readonly metadata: Metadata;
  /** What is in the log already, all of it committed. */
  readonly entries: readonly Entry[];
}

export class DiskJournal implements Journal, AsyncDisposable {
  readonly #wal: Wal;
  readonly #memberId: bigint;
  readonly #onFailed: (error: unknown) => void;
  readonly #onSynced: (seconds: number) => void;
  readonly #clock: Clock;
  readonly term: number;
  #lastIndex: number;
  #waiting: Waiting[] = [];
  /** Places of checkpoints to write down, with who waits for it. */
  #saved: { readonly snapshot: Snapshot; readonly done: (error: unknown) => void }[] = [];
  #flushing: Promise<void> | undefined;
  #failed = false;
  #bytesSinceCheckpoint: number;

  private constructor(options: {
    readonly wal: Wal;
    readonly memberId: bigint;
    readonly term: number;
    readonly lastIndex: number;
    readonly bytes: number;
    readonly clock: Clock;
    readonly onSynced: (seconds: number) => void;
    readonly onFailed: (error: unknown) => void;
  }) {
    this.#wal = options.wal;
    this.#memberId = options.memberId;
    this.term = options.term;
    this.#lastIndex = options.lastIndex;
    this.#bytesSinceCheckpoint = options.bytes;
    this.#onFailed = options.onFailed;
    this.#onSynced = options.onSynced;
    this.#clock = options.clock;
  }

  /**
   * Opens the log in `folder`, or makes one for the members of a new cluster. Either way a new term begins, with its empty entry.
   * @throws WalError for a damaged log, and Node's errors
   */
  static async open(options: {
    readonly disk: Disk;
    readonly folder: string;
    /** A file is cut when it has grown past this. */
    readonly fileBytes: number;
    readonly metadata: Metadata;
    readonly members: readonly ClusterMember[];
    /** How long each sync took, in seconds. */
    readonly onSynced: (seconds: number) => void;
    readonly clock: Clock;
    /** The disk does not take writes any more; nothing that waits was acknowledged. */
    readonly onFailed: (error: unknown) => void;
  }): Promise<OpenJournal> {
    const { disk, folder, fileBytes, members, metadata, onFailed, onSynced, clock } = options;
    const rest = { onFailed, onSynced, clock };
    if (await Wal.exists(disk, folder)) {
      const { wal, content } = await Wal.open(disk, folder, fileBytes);
      const lastIndex = content.entries.at(-1)?.index ?? content.snapshots.at(-1)?.index ?? 0;
      const term = Math.max(content.hardState.term, content.entries.at(-1)?.term ?? 0) + 1;
      const bytes = content.entries.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
      const journal = new DiskJournal({ wal, memberId: content.metadata.nodeID, term, lastIndex, bytes, ...rest });
      await journal.#begin([]);
      return { journal, metadata: content.metadata, entries: content.entries };
    }
    const wal = await Wal.create(disk, folder, metadata, fileBytes);
    const joined = firstEntries(members);
    const lastIndex = joined.length;
    const journal = new DiskJournal({ wal, memberId: metadata.nodeID, term: 2, lastIndex, bytes: 0, ...rest });
    await journal.#begin(joined);
    return { journal, metadata, entries: joined };
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** The log cannot be written any more. */
  get hasFailed(): boolean {
    return this.#failed;
  }

  /** Bytes of entries since the last checkpoint began: what a restart would have to do again. */
  get bytesSinceCheckpoint(): number {
    return this.#bytesSinceCheckpoint;
  }

  /** A checkpoint of the state as it is now begins. */
  checkpointBegins(): void {
    this.#bytesSinceCheckpoint = 0;
  }

  /** A checkpoint at `snapshot` is on disk: writes that down, and lets go of files before it. */
  checkpointSaved(snapshot: Snapshot): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error: unknown) => {
        if (error === undefined) resolve();
        else reject(error);
      };
      if (this.#failed) {
        done(etcdError('stopped'));
        return;
      }
      this.#saved.push({ snapshot, done });
      this.#flushing ??= this.#flush();
    });
  }

  append(data: Uint8Array, done: (error: unknown, index: number) => void): void {
    if (this.#failed) {
      done(etcdError('stopped'), 0);
      return;
    }
    this.#waiting.push({ data, done });
    this.#flushing ??= this.#flush();
  }

  /** Resolves when what was appended is on disk, or was refused. */
  async flushed(): Promise<void> {
    await this.#flushing;
  }

  /** Waits for what was appended. Nothing may be appended any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushing;
    await this.#wal[Symbol.asyncDispose]();
  }

  /** The first entry of a leader's term is empty. */
  async #begin(before: readonly Entry[]): Promise<void> {
    const index = this.#lastIndex + 1;
    const empty = Entry.create({ type: EntryType.EntryNormal, term: this.term, index });
    await this.#wal.append([...before, empty], this.#hardState(index));
    await this.#wal.sync();
    this.#lastIndex = index;
  }

  #hardState(commit: number): HardState {
    return HardState.create({ term: this.term, vote: this.#memberId, commit });
  }

  async #flush(): Promise<void> {
    // Whoever else has something to write in this turn comes along.
    await nextTurn();
    let batch: Waiting[] = [];
    try {
      while (this.#waiting.length > 0 || this.#saved.length > 0) {
        await this.#writeSaved();
        if (this.#waiting.length === 0) continue;
        batch = this.#takeBatch();
        const first = this.#lastIndex + 1;
        const entries = batch.map(({ data }, i) =>
          Entry.create({ type: EntryType.EntryNormal, term: this.term, index: first + i, data }),
        );
        await this.#wal.append(entries, this.#hardState(first + batch.length - 1));
        const startMs = this.#clock.monotonicMs();
        await this.#wal.sync();
        this.#onSynced((this.#clock.monotonicMs() - startMs) / 1000);
        this.#lastIndex += batch.length;
        const durable = batch;
        batch = [];
        for (const [i, { done }] of durable.entries()) done(undefined, first + i);
      }
    } catch (error) {
      this.#failed = true;
      for (const { done } of [...batch, ...this.#waiting.splice(0)]) done(etcdError('stopped'), 0);
      for (const { done } of this.#saved.splice(0)) done(etcdError('stopped'));
      this.#onFailed(error);
    }
    this.#flushing = undefined;
  }

  async #writeSaved(): Promise<void> {
    for (let saved = this.#saved[0]; saved !== undefined; saved = this.#saved[0]) {
      await this.#wal.appendSnapshot(saved.snapshot);
      await this.#wal.sync();
      await this.#wal.release(saved.snapshot.index);
      this.#saved.shift();
      saved.done(undefined);
    }
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && (count === 0 || bytes < batchBytesMax))
      bytes += this.#waiting[count++]!.data.length;
    this.#bytesSinceCheckpoint += bytes;
    return this.#waiting.splice(0, count);
  }
}
