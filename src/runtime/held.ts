/**
 * A process as this daemon holds it: the connection to its monitor, what is known of it, and who waits for its end. The monitor may
 * outlive the connection and the other way round; the state folder has the last word.
 */
import type { CgroupManager } from '#host-linux/cgroups/manager.ts';
import { MonitorConnection, type MonitorStatus } from '#host-linux/helper/monitor-client.ts';
import type { Explanations } from '#host-linux/helper/plan.ts';
import { processStat } from '#host-linux/process-status.ts';
import type { Clock } from '#std/clock.ts';
import { sleep } from '#std/clock.ts';
import { RuntimeError } from './error.ts';
import { type ContainerRecord, readProcessFiles } from './record.ts';
import type { Exit } from './runtime.ts';

/** How a process is told that ended while nobody was there to see how. */
const unknownExitCode = 255;
const exitFileTries = 50;
const exitFilePauseMs = 2;

interface Waiter {
  readonly resolve: (exit: Exit) => void;
  readonly reject: (error: Error) => void;
}

export class HeldProcess {
  readonly folder: string;
  readonly terminal: boolean;
  readonly #record: ContainerRecord;
  readonly #cgroups: CgroupManager;
  readonly #clock: Clock;
  #connection: MonitorConnection | undefined;
  #status: 'created' | 'running' | 'stopped' = 'created';
  #pid = 0;
  #pidStartTime = 0n;
  #startedAt = 0n;
  #exit: Exit | undefined;
  #ending = false;
  #closed = false;
  readonly #waiters = new Set<Waiter>();
  /** What its plan's operations stand for, while it may still fail to run its program. */
  explanations: Explanations | undefined;

  constructor(folder: string, terminal: boolean, record: ContainerRecord, cgroups: CgroupManager, clock: Clock) {
    this.folder = folder;
    this.terminal = terminal;
    this.#record = record;
    this.#cgroups = cgroups;
    this.#clock = clock;
  }

  get status(): 'created' | 'running' | 'stopped' {
    return this.#exit === undefined && this.#status === 'stopped' ? 'running' : this.#status;
  }

  get pid(): number {
    return this.#pid;
  }

  get pidStartTime(): bigint {
    return this.#pidStartTime;
  }

  get startedAt(): bigint {
    return this.#startedAt;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** undefined once the monitor has gone. */
  get connection(): MonitorConnection | undefined {
    return this.#connection;
  }

  /** Connects to the monitor; when there is none, finds out how the process ended. */
  async connect(): Promise<void> {
    const files = readProcessFiles(this.folder);
    if (files !== undefined) {
      this.#pid = files.pid;
      this.#pidStartTime = files.pidStartTime;
      this.#startedAt = files.startedAt;
      if (files.startedAt > 0n) this.#status = 'running';
    }
    try {
      const connection = await MonitorConnection.open(this.folder, {
        onStatus: (status) => this.#learn(status),
        onClose: () => this.#lost(),
      });
      if (this.#closed) connection[Symbol.dispose]();
      else this.#connection = connection;
      if (this.#exit !== undefined || this.#ending) connection.unref();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && !/ended the connection/.test((error as Error).message))
        throw error;
      await this.#findExit();
    }
  }

  wait(): Promise<Exit> {
    if (this.#exit !== undefined) return Promise.resolve(this.#exit);
    if (this.#closed) return Promise.reject(new RuntimeError('NotFound', 'container does not exist'));
    return new Promise((resolve, reject) => this.#waiters.add({ resolve, reject }));
  }

  /** Lets go of the process, not the process of its life. Who waits is told why. */
  close(reason: Error): void {
    this.#closed = true;
    this.#connection?.[Symbol.dispose]();
    this.#connection = undefined;
    for (const { reject } of this.#waiters) reject(reason);
    this.#waiters.clear();
  }

  #learn(status: MonitorStatus): void {
    this.#pid = status.pid;
    this.#pidStartTime = status.pidStartTime;
    this.#startedAt = status.startedAt;
    this.#status = status.status;
    if (status.status === 'stopped')
      void this.#ended({ exitCode: status.exitCode, signal: status.exitSignal, exitedAt: status.exitedAt });
  }

  #lost(): void {
    this.#connection = undefined;
    if (this.#exit === undefined && !this.#ending && !this.#closed) void this.#findExit();
  }

  /** The monitor is gone: it wrote how the process ended, or it was killed itself and the process with it or not. */
  async #findExit(): Promise<void> {
    for (let tries = 0; ; tries++) {
      const files = readProcessFiles(this.folder);
      if (files?.exit !== undefined) return this.#ended(files.exit);
      const alive = files !== undefined && this.#alive(files.pid, files.pidStartTime);
      if (!alive && tries >= exitFileTries)
        return this.#ended({
          exitCode: unknownExitCode,
          signal: 0,
          exitedAt: BigInt(this.#clock.now()) * 1_000_000n,
        });
      if (this.#closed) return;
      // An orphan without a monitor cannot be waited for, only looked at now and then.
      await sleep(this.#clock, alive ? 1000 : exitFilePauseMs);
    }
  }

  #alive(pid: number, startTime: bigint): boolean {
    const stat = processStat(pid);
    return stat !== undefined && stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
  }

  async #ended({ exitCode, signal, exitedAt }: { exitCode: number; signal: number; exitedAt: bigint }): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    // An ended container must not keep the daemon's event loop alive.
    this.#connection?.unref();
    const oomKills = await this.#cgroups.oomKills(this.#record.folders).catch(() => 0n);
    this.#status = 'stopped';
    this.#exit = { exitCode, ...(signal === 0 ? {} : { signal }), exitedAt, oomKilled: oomKills > 0n };
    for (const { resolve } of this.#waiters) resolve(this.#exit);
    this.#waiters.clear();
  }
}
