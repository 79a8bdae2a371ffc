/**
 * The runtime of a command line: each call is a process of its own, and a container's state is its folder alone. There are no monitors: the container's first process
 * inherits the caller's streams and belongs to whoever is its parent. A FIFO in the folder holds a created process back; its absence says that it was started.
 */
import { join } from 'node:path';
import type { Process, Resources, Spec, Status } from '#api-oci/runtime-spec.ts';
import type { CgroupManager } from '#host-linux/cgroups/manager.ts';
import { type Launched, launchProcess, runPlan } from '#host-linux/helper/launch.ts';
import { Op } from '#host-linux/helper/op-codes.ts';
import { errnoText, Plan } from '#host-linux/helper/plan.ts';
import { HelperError } from '#host-linux/helper/zygote.ts';
import { ownCapabilities, processStat } from '#host-linux/process-status.ts';
import { makeFifo, StartFifo } from '#host-linux/start-fifo.ts';
import {
  listStateFolders,
  makeStateFolder,
  readStateFile,
  removeStateFile,
  removeStateFolder,
  writeStateFile,
} from '#host-linux/state-folder.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { checkSpec } from './check-spec.ts';
import { RuntimeError } from './error.ts';
import { planHooks } from './plan/hooks.ts';
import { compileCreate, compileExec, type Launch } from './plan/launch.ts';
import { type ContainerRecord, checkId, readProcessFiles, readRecord, writeRecord } from './record.ts';
import type { ContainerState, Stats } from './runtime.ts';
import { compileSeccomp, type SeccompArch } from './seccomp/compile.ts';

export interface CommandLineOptions {
  /** `/run/runc`: a folder a container. */
  readonly root: string;
  /** Path of the helper's binary. */
  readonly helper: string;
  readonly cgroups: CgroupManager;
  readonly clock: Clock;
  readonly arch: SeccompArch;
}

export interface CreateRequest {
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
  /** A unix socket that gets the terminal's descriptor. */
  readonly consoleSocket?: string;
  readonly noPivot?: boolean;
  readonly noNewKeyring?: boolean;
  /** Stay its parent until it ends. */
  readonly foreground?: boolean;
}

interface Found {
  readonly record: ContainerRecord;
  readonly status: Status;
  readonly pid: number;
  readonly pidStartTime: bigint;
}

const SIGKILL = 9;
const killMs = 10_000;
const pollMs = 1;
const consoleRegister = 20;
const fifoName = 'exec.fifo';
const freezeTries = 1000;

export class CommandLineRuntime {
  readonly #options: CommandLineOptions;

  constructor(options: CommandLineOptions) {
    this.#options = options;
  }

  /** Leaves the container created. An error leaves no trace. */
  async create(request: CreateRequest): Promise<Launched> {
    const { id, bundle, spec } = request;
    const { cgroups, clock, root } = this.#options;
    checkId(id);
    checkSpec(spec);
    checkConsole(spec.process!, request.consoleSocket, request.foreground === true);
    const path = spec.root!.path;
    const record: ContainerRecord = {
      id,
      bundle,
      rootfs: path.startsWith('/') ? path : join(bundle, path),
      spec,
      folders: cgroups.folders(spec.linux?.cgroupsPath || id),
      labels: {},
      createdAt: BigInt(clock.now()) * 1_000_000n,
    };
    const folder = join(root, id);
    if (!makeStateFolder(folder)) throw new RuntimeError('AlreadyExists', 'container with given ID already exists');
    try {
      makeFifo(join(folder, fifoName), spec.process?.user?.uid ?? 0, spec.process?.user?.gid ?? 0);
      writeRecord(folder, record);
      const launch = compileCreate({
        ...this.#context(record, spec.process!, true, request.consoleSocket),
        id,
        spec,
        bundle,
        rootfs: record.rootfs,
        noPivot: request.noPivot === true,
        newKeyring: request.noNewKeyring !== true,
        fifo: join(folder, fifoName),
      });
      const launched = await this.#launch(launch, spec.process!, request);
      writeStateFile(folder, 'pid', `${launched.pid} ${launched.pidStartTime}\n`);
      return launched;
    } catch (error) {
      removeStateFolder(folder);
      throw explained(error);
    }
  }

  /** Lets a created container go. */
  async start(id: string): Promise<void> {
    const { clock, root, helper } = this.#options;
    const { record, status, pid } = await this.#look(id);
    if (status === 'stopped') throw new RuntimeError('FailedPrecondition', 'cannot start a container that has stopped');
    if (status !== 'created') throw new RuntimeError('FailedPrecondition', 'cannot start an already running container');
    const folder = join(root, id);
    {
      using fifo = new StartFifo(join(folder, fifoName));
      while (!fifo.take()) {
        if ((await this.#look(id)).status === 'stopped')
          throw new RuntimeError('FailedPrecondition', 'cannot start a container that has stopped');
        await sleep(clock, pollMs);
      }
    }
    removeStateFile(folder, fifoName);
    writeStateFile(folder, 'started', `${BigInt(clock.now()) * 1_000_000n}\n`);
    const hooks = record.spec.hooks?.poststart ?? [];
    if (hooks.length === 0) return;
    const plan = new Plan();
    planHooks(plan, hooks, record, 'running', { pid });
    try {
      await runPlan(helper, plan);
    } catch (error) {
      await this.kill(id, SIGKILL, false);
      throw explained(error);
    }
  }

  /** Runs another process in a container that runs. */
  async exec(request: {
    readonly id: string;
    readonly process: Process;
    readonly consoleSocket?: string;
    readonly foreground: boolean;
    readonly ignorePaused?: boolean;
  }): Promise<Launched> {
    const { record, status, pid, pidStartTime } = await this.#look(request.id);
    if (status === 'stopped') throw new RuntimeError('FailedPrecondition', 'cannot exec in a stopped container');
    if (status === 'paused' && request.ignorePaused !== true)
      throw new RuntimeError(
        'FailedPrecondition',
        'cannot exec in a paused container (use --ignore-paused to override)',
      );
    const { process } = request;
    checkConsole(process, request.consoleSocket, request.foreground);
    const launch = compileExec({
      ...this.#context(record, process, false, request.consoleSocket),
      spec: record.spec,
      process,
      pid,
      pidStartTime,
    });
    try {
      return await this.#launch(launch, process, { ...request, go: true });
    } catch (error) {
      throw explained(error, 'exec failed: ');
    }
  }

  async kill(id: string, signal: number, all: boolean): Promise<void> {
    const { helper, cgroups } = this.#options;
    const { record, status, pid, pidStartTime } = await this.#look(id);
    const plan = new Plan();
    if (all) cgroups.planKill(plan, record.folders, signal, 0);
    else if (status === 'stopped') throw new RuntimeError('NotFound', 'container not running');
    else
      plan.op(
        Op.KILL,
        (failure) => (failure.errno === 3 ? 'process already finished' : `kill: ${errnoText(failure.errno)}`),
        (fields) => fields.u32(pid).u64(pidStartTime).u32(signal),
      );
    await runPlan(helper, plan).catch((error: unknown) => {
      throw error instanceof HelperError ? new RuntimeError('Internal', error.message, error) : error;
    });
    // A frozen process takes its death only when it thaws.
    if (signal === SIGKILL && status === 'paused') await this.resume(id);
  }

  /** Removes a container that has stopped, or was only created; with `force` also one that runs, and nothing for one that is not there. */
  async delete(id: string, force: boolean): Promise<void> {
    const { helper, cgroups, root } = this.#options;
    let found: Found;
    try {
      found = await this.#look(id);
    } catch (error) {
      if (!force || !(error instanceof RuntimeError && error.code === 'NotFound')) throw error;
      removeStateFolder(join(root, id));
      return;
    }
    const { record, status, pid, pidStartTime } = found;
    if (status !== 'stopped' && status !== 'created' && !force)
      throw new RuntimeError('FailedPrecondition', `cannot delete container ${id} that is not stopped: ${status}`);
    const plan = new Plan();
    if (status === 'paused') cgroups.planFreeze(plan, record.folders, false);
    // All that is in its cgroups: without a pid namespace of its own, the first process leaves others behind.
    cgroups.planKill(plan, record.folders, SIGKILL, killMs);
    if (pid > 0 && status !== 'stopped')
      plan.op(
        Op.WAIT_PID,
        (failure) => `container is still running: ${errnoText(failure.errno)}`,
        (fields) => fields.u32(pid).u64(pidStartTime).u32(killMs),
      );
    cgroups.planRemove(plan, record.folders);
    planHooks(plan, record.spec.hooks?.poststop ?? [], record, 'stopped', { soft: true, pid: 0 });
    await runPlan(helper, plan);
    removeStateFolder(join(root, id));
  }

  async state(id: string): Promise<ContainerState> {
    const { record, status, pid, pidStartTime } = await this.#look(id);
    return {
      id,
      status,
      pid: status === 'stopped' ? 0 : pid,
      pidStartTime,
      bundle: record.bundle,
      rootfs: record.rootfs,
      createdAt: record.createdAt,
      startedAt: 0n,
      annotations: record.spec.annotations ?? {},
      labels: {},
      cgroups: record.folders,
    };
  }

  /** The specification that the container was created with. */
  async spec(id: string): Promise<Spec> {
    return (await this.#look(id)).record.spec;
  }

  async list(): Promise<ContainerState[]> {
    const states: ContainerState[] = [];
    for (const id of listStateFolders(this.#options.root))
      try {
        states.push(await this.state(id));
      } catch (error) {
        // One that is being made or removed.
        if (!(error instanceof RuntimeError && error.code === 'NotFound')) throw error;
      }
    return states;
  }

  async pids(id: string): Promise<number[]> {
    return this.#options.cgroups.pids((await this.#look(id)).record.folders);
  }

  async stats(id: string): Promise<Stats> {
    const { record, status } = await this.#look(id);
    if (status === 'stopped') throw new RuntimeError('FailedPrecondition', `container with id ${id} is not running`);
    return { readAt: this.#options.clock.now(), ...(await this.#options.cgroups.stats(record.folders)) };
  }

  async update(id: string, resources: Resources): Promise<void> {
    const { record } = await this.#look(id);
    const plan = new Plan();
    this.#options.cgroups.planUpdate(plan, record.folders, resources);
    await runPlan(this.#options.helper, plan);
  }

  pause(id: string): Promise<void> {
    return this.#freeze(id, true);
  }

  resume(id: string): Promise<void> {
    return this.#freeze(id, false);
  }

  async #freeze(id: string, frozen: boolean): Promise<void> {
    const { cgroups, clock, helper } = this.#options;
    const { record, status } = await this.#look(id);
    if (frozen && status !== 'running' && status !== 'created')
      throw new RuntimeError('FailedPrecondition', 'container not running');
    if (!frozen && status !== 'paused') throw new RuntimeError('FailedPrecondition', 'container not paused');
    const plan = new Plan();
    cgroups.planFreeze(plan, record.folders, frozen);
    await runPlan(helper, plan);
    for (let tries = 0; (await cgroups.frozen(record.folders)) !== frozen; tries++) {
      if (tries === freezeTries) throw new RuntimeError('Internal', 'unable to freeze');
      await sleep(clock, pollMs);
    }
  }

  #context(record: ContainerRecord, process: Process, first: boolean, consoleSocket: string | undefined) {
    const { cgroups, arch } = this.#options;
    const seccomp = record.spec.linux?.seccomp;
    return {
      cgroups,
      folders: record.folders,
      available: ownCapabilities(),
      seccomp: seccomp === undefined ? undefined : compileSeccomp(seccomp, arch),
      streams:
        process.terminal === true
          ? ({ kind: 'terminal', bindConsole: first } as const)
          : ({ kind: 'inherit' } as const),
      preserveFds: 0,
      ...(consoleSocket === undefined ? {} : { consoleSocket: { path: consoleSocket, register: consoleRegister } }),
    };
  }

  async #launch(
    launch: Launch,
    process: Process,
    request: { readonly consoleSocket?: string; readonly foreground?: boolean; readonly go?: boolean },
  ): Promise<Launched> {
    const plan = new Plan(launch.explanations);
    return launchProcess(this.#options.helper, {
      bytes: launch.bytes,
      plan,
      ...(process.terminal === true && request.consoleSocket !== undefined ? { consoleRegister } : {}),
      ...(request.foreground === true ? { foreground: true } : {}),
      ...(request.go === true ? { go: true } : {}),
    });
  }

  async #look(id: string): Promise<Found> {
    checkId(id);
    const folder = join(this.#options.root, id);
    const record = readRecord(folder);
    if (record === undefined) throw new RuntimeError('NotFound', 'container does not exist');
    const files = readProcessFiles(folder);
    const pid = files?.pid ?? 0;
    const pidStartTime = files?.pidStartTime ?? 0n;
    const stat = pid === 0 ? undefined : processStat(pid);
    const alive = stat !== undefined && stat.startTime === pidStartTime && stat.state !== 'Z' && stat.state !== 'X';
    let status: Status = 'stopped';
    if (alive) {
      const held = readStateFile(folder, 'started') === undefined;
      status = (await this.#options.cgroups.frozen(record.folders)) ? 'paused' : held ? 'created' : 'running';
    }
    return { record, status, pid, pidStartTime };
  }
}

/** A terminal's descriptor has to go somewhere. */
function checkConsole(process: Process, consoleSocket: string | undefined, foreground: boolean): void {
  const terminal = process.terminal === true;
  if (terminal && consoleSocket === undefined)
    throw new RuntimeError(
      'InvalidArgument',
      foreground
        ? 'a terminal in the foreground is not supported: use --console-socket'
        : 'cannot allocate tty if runc will detach without setting console socket',
    );
  if (!terminal && consoleSocket !== undefined)
    throw new RuntimeError('InvalidArgument', 'cannot use console socket if runc will not detach or allocate tty');
}

/** The helper's refusals in upstream's words. */
function explained(error: unknown, prefix = ''): unknown {
  if (!(error instanceof HelperError)) return error;
  return new RuntimeError('Internal', `${prefix}unable to start container process: ${error.message}`, error);
}
