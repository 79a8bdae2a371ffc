/**
 * When a member saves its state: once a restart would have to redo as much as the state itself weighs, and when it stops cleanly. One
 * at a time, in the background, from a fork.
 */
import { Snapshot } from '#api-etcd/gen/wal.ts';
import type { Disk } from '#host/disk.ts';
import type { Clock } from '#std/clock.ts';
import type { Member } from '../member.ts';
import type { LogWriter } from '../replica/log-writer.ts';
import { removeOldSnapshots, saveCheckpoint } from './save.ts';

export interface CheckpointerOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** `member/snap`. */
  readonly folder: string;
  readonly member: Member;
  readonly writer: LogWriter;
  /** Index of the checkpoint that the member started from; 0 for none. */
  readonly savedIndex: number;
  /** Less than this is not worth a checkpoint. */
  readonly logBytesMin: number;
  readonly onFailed: (error: unknown) => void;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #savedIndex: number;
  #running: Promise<void> | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#savedIndex = options.savedIndex;
  }

  /** Looks whether it is time. Called after every entry: costs nothing when it is not. */
  consider(): void {
    const { writer, member, logBytesMin, onFailed } = this.#options;
    if (this.#running !== undefined) return;
    if (writer.bytesSinceCheckpoint < Math.max(logBytesMin, member.store.recordBytes)) return;
    this.#running = this.#save()
      .catch(onFailed)
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Saves what there is, for whoever opens the folder next. Nothing may be written meanwhile. */
  async finish(): Promise<void> {
    await this.#running;
    if (this.#options.member.appliedIndex > this.#savedIndex) await this.#save();
  }

  /** Does something else with the folder, when no checkpoint is being written; none begins meanwhile. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running !== undefined) await this.#running;
    const working = work();
    this.#running = working
      .then(
        () => {},
        () => {},
      )
      .finally(() => {
        this.#running = undefined;
      });
    return working;
  }

  /** The folder holds the state at this index. */
  installed(index: number): void {
    this.#savedIndex = index;
  }

  async #save(): Promise<void> {
    const { disk, folder, member, writer, clock } = this.#options;
    const { applied } = member;
    const machine = member.machine.fork();
    writer.checkpointBegins();
    const startMs = clock.monotonicMs();
    await saveCheckpoint({ disk, folder, machine, applied });
    member.counters.checkpointSave.observe((clock.monotonicMs() - startMs) / 1000);
    await writer.checkpointSaved(Snapshot.create({ ...applied, confState: machine.confState }));
    this.#savedIndex = applied.index;
    await removeOldSnapshots(disk, folder, applied.index);
  }
}
