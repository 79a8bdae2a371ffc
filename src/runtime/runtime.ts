/**
 * The OCI runtime as its daemon sees it: containers and the processes in them, each held by a monitor of its own that outlives
 * the daemon. This file is the seam that containerd codes against; the verbs stand in files of their own.
 * It knows nothing of images, snapshots, CRI or networks: whoever calls prepares the root filesystem and the namespaces' paths.
 *
 * A process is named by its container's id and, for all but the container's first process, an exec id. Everything rejects
 * with {@link RuntimeError}.
 */
import type { Process, Resources, Spec, Status } from '#api-oci/runtime-spec.ts';
import type { CgroupStats } from '#host-linux/cgroups/manager.ts';

/** Where a stream's bytes go to or come from besides attached clients. A path names a FIFO or a file, opened by the monitor. */
export type StreamTarget = 'null' | 'pipe' | { readonly path: string };

/**
 * How a process's standard streams are held. With `terminal` in its process, there is one pseudo-terminal: its output
 * counts as stdout, and `stderr` here is ignored.
 */
export interface Stdio {
  /** `null` reads end of file at once; `pipe` is fed by attached clients, `path` by whoever writes to the FIFO. */
  readonly stdin: StreamTarget;
  /** `null` keeps nothing (the log, if any, still gets it); `pipe` is for attached clients alone. */
  readonly stdout: StreamTarget;
  readonly stderr: StreamTarget;
  /** A file in the CRI log format (`RFC3339Nano stdout|stderr F|P line`), appended to. */
  readonly logPath?: string;
  /** Close the process's stdin when the first attached client that wrote to it goes (CRI's `stdin_once`). */
  readonly stdinOnce?: boolean;
  /**
   * Hold output back until a client has attached, so that it sees every byte. For an exec whose caller streams. False by
   * default: output that nobody takes is dropped (or only logged).
   */
  readonly waitForAttach?: boolean;
}

export interface CreateOptions {
  /** `[\w+\-.]+`, at most 1024 characters. */
  readonly id: string;
  /** Absolute; `root.path` of the spec is relative to it. */
  readonly bundle: string;
  /** By default `config.json` in the bundle. */
  readonly spec?: Spec;
  readonly stdio: Stdio;
  /** Kept with the container and given back by `state`, `list` and `adopt`: what the caller wants to find again. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ExecOptions {
  /** The container's. */
  readonly id: string;
  /** As a container's id; unique within the container. */
  readonly execId: string;
  /** As in the runtime spec. What is absent of user, capabilities, rlimits, noNewPrivileges is not inherited from the container. */
  readonly process: Process;
  readonly stdio: Stdio;
}

/** How a process ended. */
export interface Exit {
  /** As a shell counts: 128 + signal for a process that a signal killed. */
  readonly exitCode: number;
  /** The number of the signal that killed it. */
  readonly signal?: number;
  /** Nanoseconds since 1970. */
  readonly exitedAt: bigint;
  /** The kernel killed something in the container's cgroup for memory since the container was created. */
  readonly oomKilled: boolean;
}

export interface ContainerState {
  readonly id: string;
  readonly status: Status;
  /** In the daemon's pid namespace; 0 before it exists and after it ended. */
  readonly pid: number;
  /** Start time of `pid` in clock ticks since boot (field 22 of proc_pid_stat(5)): with the pid it names one process for ever. */
  readonly pidStartTime: bigint;
  readonly bundle: string;
  /** Absolute. */
  readonly rootfs: string;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  /** 0 until then. */
  readonly startedAt: bigint;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly exit?: Exit;
  /** cgroup folders, absolute: one for the unified hierarchy (`''`), or one per v1 controller. */
  readonly cgroups: Readonly<Record<string, string>>;
}

/** One numbered reading of a container's cgroups; what the machine does not offer is absent. */
export interface Stats extends CgroupStats {
  /** Milliseconds since 1970. */
  readonly readAt: number;
}

/** A client of a process's streams. Closing it leaves the process alone. */
export interface Attachment extends AsyncDisposable {
  /**
   * What the process writes from now on (or from its beginning, with `waitForAttach`), in order. Ends when all its output has
   * ended, and on dispose; throws if the monitor went away. Not reading it holds the process back.
   */
  readonly output: AsyncIterable<{ readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array }>;
  /** Feeds stdin. False: `await drained()` before the next one. */
  write(data: Uint8Array): boolean;
  /** Resolves when there is room again; rejects when the attachment has ended. */
  drained(): Promise<void>;
  closeStdin(): void;
}

export interface AdoptedProcess {
  readonly id: string;
  readonly execId?: string;
  readonly pid: number;
  readonly pidStartTime: bigint;
  readonly status: Status;
  readonly exit?: Exit;
}

export interface Runtime extends AsyncDisposable {
  /** Applies everything of the spec but `process.args`, and leaves the container `created`. An error leaves no trace. */
  create(options: CreateOptions): Promise<ContainerState>;
  /** Prepares a process in a running container; `start(id, execId)` lets it go. */
  createExec(options: ExecOptions): Promise<void>;
  /** Lets a created process go. Resolves once its program runs, with its pid. */
  start(id: string, execId?: string): Promise<{ readonly pid: number }>;
  /** Signals the process; with `all`, every process of the container. */
  kill(id: string, signal: number, options?: { readonly execId?: string; readonly all?: boolean }): Promise<void>;
  /** Resolves when the process has ended; at once if it has. Rejects when the container is deleted or the runtime closes first. */
  wait(id: string, execId?: string): Promise<Exit>;
  /** Removes a stopped or created container and all that belongs to it; with `force`, kills it first. Runs poststop hooks. */
  delete(id: string, options?: { readonly force?: boolean }): Promise<Exit | undefined>;
  /** Forgets an exec that has ended. */
  deleteExec(id: string, execId: string): Promise<Exit | undefined>;
  state(id: string): Promise<ContainerState>;
  /** State of one exec. */
  execState(id: string, execId: string): Promise<AdoptedProcess>;
  list(): Promise<ContainerState[]>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  update(id: string, resources: Resources): Promise<void>;
  stats(id: string): Promise<Stats>;
  /** Pids of all processes of the container, in the daemon's pid namespace. */
  pids(id: string): Promise<number[]>;
  /** Size in characters. */
  resize(id: string, size: { readonly width: number; readonly height: number }, execId?: string): Promise<void>;
  attach(id: string, execId?: string): Promise<Attachment>;
  /** Closes the process's stdin once what was written has been read. */
  closeStdin(id: string, execId?: string): Promise<void>;
  /** Opens the log again at its path, after it was rotated away. */
  reopenLog(id: string): Promise<void>;
  /**
   * After a restart of the daemon: finds every container and exec under the state folder, connects to the monitors that live,
   * and reads how the others ended. After it, all verbs work on them as if nothing had happened.
   */
  adopt(): Promise<AdoptedProcess[]>;
}
