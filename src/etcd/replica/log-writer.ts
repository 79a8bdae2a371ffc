/**
 * What Raft wants on disk, in order: entries, hard states, states that came from a leader. Whatever arrives while a sync is under way shares
 * the next one. A hard state that only says what is committed waits for company: losing it loses nothing.
 */
import type { Entry, HardState, Snapshot as RaftSnapshot } from '#api-etcd/gen/raft.ts';
import { Snapshot } from '#api-etcd/gen/wal.ts';
import { nextTurn } from '#host/event-loop.ts';
import type { Clock } from '#std/clock.ts';
import type { Wal } from '#storage/wal/wal.ts';

/** Entries that share a sync weigh at most this, but for the last write among them. */
const batchBytesMax = 8 << 20;

/** What Raft hands out at once. */
export interface LogWrite {
  readonly entries: readonly Entry[];
  /** When it differs from the one before. */
  readonly hardState: HardState | undefined;
  /** A state that replaces the log before it. */
  readonly snapshot: RaftSnapshot | undefined;
  /** It is on disk. */
  readonly done: () => void;
}

export interface LogWriterOptions {
  readonly wal: Wal;
  readonly clock: Clock;
  /** Puts a state that came from the leader in the place of ours, durably, before the log says so. */
  readonly install: (snapshot: RaftSnapshot) => Promise<void>;
  /** How long each write took to be on disk, in seconds. */
  readonly onSynced: (seconds: number) => void;
  /** The disk takes no writes any more; nothing that waits is done. */
  readonly onFailed: (error: unknown) => void;
  /** Bytes of entries in the log since the last checkpoint. */
  readonly bytes: number;
}

export class LogWriter implements AsyncDisposable {
  readonly #options: LogWriterOptions;
  #waiting: LogWrite[] = [];
  /** Says only how far entries are committed that are on disk; goes along with the next write. */
  #commit: HardState | undefined;
  #last: HardState | undefined;
  /** Checkpoints to write down, with who waits for it. */
  #checkpoints: { readonly place: Snapshot; readonly done: (error: unknown) => void }[] = [];
  /** Told of one more while a state from the leader is put in place. */
  #checkpointCame = () => {};
  #flushing: Promise<void> | undefined;
  #failed = false;
  #bytesSinceCheckpoint: number;

  constructor(options: LogWriterOptions, last: HardState) {
    this.#options = options;
    this.#last = last;
    this.#bytesSinceCheckpoint = options.bytes;
  }

  /** The log cannot be written any more. */
  get hasFailed(): boolean {
    return this.#failed;
  }

  /** Bytes of entries since the last checkpoint began: what a restart would have to do again. */
  get bytesSinceCheckpoint(): number {
    return this.#bytesSinceCheckpoint;
  }

  write(write: LogWrite): void {
    if (this.#failed) return;
    const { entries, hardState, snapshot } = write;
    const isNews =
      entries.length > 0 || snapshot !== undefined || (hardState !== undefined && this.#mustSync(hardState));
    // Nothing of it has to be durable. But it must not overtake what has: a member that finds on its disk that more is committed than its
    // log holds does not start.
    if (!isNews && this.#flushing === undefined) {
      this.#commit = hardState ?? this.#commit;
      write.done();
      return;
    }
    this.#waiting.push(write);
    this.#flushing ??= this.#flush();
  }

  /** A checkpoint of the state as it is now begins. */
  checkpointBegins(): void {
    this.#bytesSinceCheckpoint = 0;
  }

  /** A checkpoint is on disk: writes its place down, and lets go of the files before it. */
  checkpointSaved(place: Snapshot): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failed) {
        reject(new Error('the log cannot be written any more'));
        return;
      }
      const done = (error: unknown) => (error === undefined ? resolve() : reject(error));
      this.#checkpoints.push({ place, done });
      this.#checkpointCame();
      this.#flushing ??= this.#flush();
    });
  }

  /** Resolves when what was handed over is on disk, or never will be. */
  async flushed(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  /** Waits for what was handed over. Nothing may follow. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flushed();
    // It only saves whoever reads the log next some guessing: that it could not be written changes nothing.
    if (!this.#failed && this.#commit !== undefined) await this.#options.wal.append([], this.#commit).catch(() => {});
    await this.#options.wal[Symbol.asyncDispose]();
  }

  #mustSync({ term, vote }: HardState): boolean {
    return term !== this.#last?.term || vote !== this.#last.vote;
  }

  async #flush(): Promise<void> {
    const { wal, clock, onSynced, onFailed } = this.#options;
    try {
      while (this.#waiting.length > 0 || this.#checkpoints.length > 0) {
        await this.#writeCheckpoints();
        const batch = this.#takeBatch();
        const [head] = batch;
        if (head === undefined) continue;
        if (head.snapshot !== undefined) await this.#install(head.snapshot);
        const hardState = batch.findLast((write) => write.hardState !== undefined)?.hardState ?? this.#commit;
        const entries = batch.length === 1 ? head.entries : batch.flatMap((write) => write.entries);
        // Upstream believes in a state from the leader only when the log says that it is committed: that goes with it.
        const mustSync =
          entries.length > 0 || head.snapshot !== undefined || (hardState !== undefined && this.#mustSync(hardState));
        if (!mustSync) this.#commit = hardState;
        else {
          const startMs = clock.monotonicMs();
          await wal.append(entries, hardState);
          onSynced((clock.monotonicMs() - startMs) / 1000);
          this.#commit = undefined;
          if (hardState !== undefined) this.#last = hardState;
        }
        for (const { done } of batch) done();
        // Whoever was answered may have more to write.
        if (this.#waiting.length === 0) await nextTurn();
      }
    } catch (error) {
      this.#failed = true;
      this.#waiting = [];
      for (const { done } of this.#checkpoints.splice(0)) done(error);
      onFailed(error);
    }
    this.#flushing = undefined;
  }

  async #install(snapshot: RaftSnapshot): Promise<void> {
    const { wal, install } = this.#options;
    let installed = false;
    const installing = install(snapshot).finally(() => {
      installed = true;
    });
    // When the log fails first, nobody asks any more.
    installing.catch(() => {});
    // It waits for a checkpoint that is being made, and that one to be written down: nobody else would do it.
    while (!installed) {
      const came = new Promise<void>((resolve) => {
        this.#checkpointCame = resolve;
      });
      await this.#writeCheckpoints();
      await Promise.race([installing, came]);
    }
    await installing;
    const { index, term, confState } = snapshot.metadata;
    await wal.appendSnapshot(Snapshot.create({ index, term, confState }));
  }

  async #writeCheckpoints(): Promise<void> {
    const { wal } = this.#options;
    for (let saved = this.#checkpoints[0]; saved !== undefined; saved = this.#checkpoints[0]) {
      // Upstream believes in a state only when the log before it says that it is committed. What says so may still wait behind entries: it
      // is said here of what the state holds.
      const known = this.#commit ?? this.#last;
      const { index } = saved.place;
      const hardState = known !== undefined && known.commit < index ? { ...known, commit: index } : this.#commit;
      if (hardState !== undefined) {
        await wal.append([], hardState);
        this.#last = hardState;
      }
      this.#commit = undefined;
      await wal.appendSnapshot(saved.place);
      await wal.release(saved.place.index);
      this.#checkpoints.shift();
      saved.done(undefined);
    }
  }

  /** Writes from the front that share a sync. One with a snapshot begins a batch of its own. */
  #takeBatch(): LogWrite[] {
    let bytes = 0;
    let count = 0;
    for (; count < this.#waiting.length; count++) {
      const { entries, snapshot } = this.#waiting[count]!;
      if (count > 0 && (bytes > batchBytesMax || snapshot !== undefined)) break;
      for (const { data } of entries) bytes += data?.length ?? 0;
    }
    this.#bytesSinceCheckpoint += bytes;
    return this.#waiting.splice(0, count);
  }
}
