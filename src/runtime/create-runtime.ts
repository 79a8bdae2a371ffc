/** The runtime of a daemon: containers under one state folder, their verbs, and what is known of them in memory. */
import { join } from 'node:path';
import { parseSpec, SpecError } from '#api-oci/parse-spec.ts';
import type { Process, Resources, Spec } from '#api-oci/runtime-spec.ts';
import type { CgroupManager } from '#host-linux/cgroups/manager.ts';
import { MonitorError } from '#host-linux/helper/monitor-client.ts';
import { Plan } from '#host-linux/helper/plan.ts';
import { HelperError, type Zygote } from '#host-linux/helper/zygote.ts';
import { ownCapabilities } from '#host-linux/process-status.ts';
import { listStateFolders, makeStateFolder, readStateFile, removeStateFolder } from '#host-linux/state-folder.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { openAttachment } from './attachment.ts';
import { checkSpec } from './check-spec.ts';
import { RuntimeError } from './error.ts';
import { HeldProcess } from './held.ts';
import { planHooks } from './plan/hooks.ts';
import { compileCreate, compileExec, type Launch } from './plan/launch.ts';
import { monitorBytes } from './plan/monitor.ts';
import { type ContainerRecord, checkId, readRecord, writeRecord } from './record.ts';
import type {
  AdoptedProcess,
  Attachment,
  ContainerState,
  CreateOptions,
  ExecOptions,
  Exit,
  Runtime,
  Stats,
} from './runtime.ts';
import { compileSeccomp, type SeccompArch, type SeccompFilter } from './seccomp/compile.ts';

export interface RuntimeOptions {
  /** A folder of this daemon's own, in memory (/run). */
  readonly stateDir: string;
  readonly helper: Zygote;
  readonly cgroups: CgroupManager;
  readonly clock: Clock;
  /** The machine's processor. */
  readonly arch: SeccompArch;
  /** Problems that no caller waits for. */
  readonly warn: (message: string, error: unknown) => void;
}

interface Container {
  readonly record: ContainerRecord;
  readonly folder: string;
  readonly init: HeldProcess;
  readonly execs: Map<string, HeldProcess>;
  paused: boolean;
}

const SIGKILL = 9;
const killMs = 10_000;
const freezeTries = 1000;

export function createRuntime(options: RuntimeOptions): Runtime {
  return new DaemonRuntime(options);
}

class DaemonRuntime implements Runtime {
  readonly #stateDir: string;
  readonly #helper: Zygote;
  readonly #cgroups: CgroupManager;
  readonly #clock: Clock;
  readonly #arch: SeccompArch;
  readonly #warn: RuntimeOptions['warn'];
  readonly #available = ownCapabilities();
  readonly #containers = new Map<string, Container>();
  readonly #filters = new Map<string, SeccompFilter>();

  constructor({ stateDir, helper, cgroups, clock, arch, warn }: RuntimeOptions) {
    this.#stateDir = stateDir;
    this.#helper = helper;
    this.#cgroups = cgroups;
    this.#clock = clock;
    this.#arch = arch;
    this.#warn = warn;
  }

  async create(options: CreateOptions): Promise<ContainerState> {
    const { id, bundle, stdio } = options;
    checkId(id);
    const spec = options.spec ?? readBundle(bundle);
    checkSpec(spec);
    const path = spec.root!.path;
    const record: ContainerRecord = {
      id,
      bundle,
      rootfs: path.startsWith('/') ? path : join(bundle, path),
      spec,
      folders: this.#cgroups.folders(spec.linux?.cgroupsPath || id),
      labels: options.labels ?? {},
      createdAt: BigInt(this.#clock.now()) * 1_000_000n,
    };
    const terminal = spec.process!.terminal === true;
    const launch = compileCreate({
      ...this.#launchContext(record, terminal, true),
      id,
      spec,
      bundle,
      rootfs: record.rootfs,
      noPivot: false,
      newKeyring: true,
    });
    const folder = join(this.#stateDir, id);
    if (!makeStateFolder(folder)) throw new RuntimeError('AlreadyExists', 'container with given ID already exists');
    try {
      writeRecord(folder, record);
      const init = await this.#launch(folder, record, launch, terminal, stdio);
      const container: Container = { record, folder, init, execs: new Map(), paused: false };
      this.#containers.set(id, container);
      return stateOf(container);
    } catch (error) {
      removeStateFolder(folder);
      throw explained(error);
    }
  }

  async createExec({ id, execId, process, stdio }: ExecOptions): Promise<void> {
    const container = this.#need(id);
    checkId(execId);
    if (container.init.status !== 'running')
      throw new RuntimeError('FailedPrecondition', 'cannot exec in a stopped container');
    const { record } = container;
    const complete = completeExec(process, record.spec);
    const terminal = complete.terminal === true;
    const launch = compileExec({
      ...this.#launchContext(record, terminal, false),
      spec: record.spec,
      process: complete,
      pid: container.init.pid,
      pidStartTime: container.init.pidStartTime,
    });
    const folder = join(container.folder, 'exec', execId);
    if (!makeStateFolder(folder)) throw new RuntimeError('AlreadyExists', `exec ${execId}: already exists`);
    try {
      container.execs.set(execId, await this.#launch(folder, record, launch, terminal, stdio));
    } catch (error) {
      removeStateFolder(folder);
      throw explained(error);
    }
  }

  async start(id: string, execId?: string): Promise<{ readonly pid: number }> {
    const container = this.#need(id);
    const held = this.#process(id, execId);
    if (held.status === 'stopped')
      throw new RuntimeError('FailedPrecondition', 'cannot start a container that has stopped');
    if (held.status === 'running')
      throw new RuntimeError('FailedPrecondition', 'cannot start an already running container');
    try {
      await this.#connection(held).start();
    } catch (error) {
      if (!(error instanceof MonitorError)) throw error;
      const message = held.explanations?.of(error) ?? error.text;
      throw new RuntimeError('Internal', `unable to start container process: ${message}`, error);
    }
    held.explanations = undefined;
    const hooks = execId === undefined ? (container.record.spec.hooks?.poststart ?? []) : [];
    if (hooks.length > 0) {
      const plan = new Plan();
      planHooks(plan, hooks, container.record, 'running', { pid: held.pid });
      try {
        await this.#helper.run(plan);
      } catch (error) {
        await this.#connection(held).kill(SIGKILL);
        throw explained(error);
      }
    }
    return { pid: held.pid };
  }

  async kill(
    id: string,
    signal: number,
    { execId, all }: { readonly execId?: string; readonly all?: boolean } = {},
  ): Promise<void> {
    const container = this.#need(id);
    if (all) {
      await this.#helper.run(this.#killPlan(container.record, signal, 0));
      return;
    }
    const held = this.#process(id, execId);
    if (held.status === 'stopped' || held.connection === undefined)
      throw new RuntimeError('NotFound', 'process already finished');
    try {
      await held.connection.kill(signal);
    } catch (error) {
      if (error instanceof MonitorError) throw new RuntimeError('NotFound', 'process already finished', error);
      throw error;
    }
    // A frozen process takes its death only when it thaws.
    if (signal === SIGKILL && container.paused) await this.resume(id);
  }

  async wait(id: string, execId?: string): Promise<Exit> {
    return this.#process(id, execId).wait();
  }

  async delete(id: string, { force }: { readonly force?: boolean } = {}): Promise<Exit | undefined> {
    const container = this.#need(id);
    const { init, record, folder } = container;
    if (init.status === 'running' && !force)
      throw new RuntimeError(
        'FailedPrecondition',
        `cannot delete container ${id} that is not stopped: ${container.paused ? 'paused' : 'running'}`,
      );
    if (init.status !== 'stopped') {
      await this.kill(id, SIGKILL).catch((error: unknown) => {
        if (!(error instanceof RuntimeError && error.code === 'NotFound')) throw error;
      });
      await init.wait();
    }
    const plan = new Plan();
    // Without a pid namespace of its own, what the first process left behind lives on.
    if (!ownsPids(record.spec)) this.#cgroups.planKill(plan, record.folders, SIGKILL, killMs);
    this.#cgroups.planRemove(plan, record.folders);
    planHooks(plan, record.spec.hooks?.poststop ?? [], record, 'stopped', { soft: true, pid: 0 });
    await this.#helper.run(plan);
    this.#containers.delete(id);
    const gone = new RuntimeError('NotFound', 'container does not exist');
    for (const held of [init, ...container.execs.values()]) {
      held.connection?.quit();
      held.close(gone);
    }
    removeStateFolder(folder);
    return init.exit;
  }

  async deleteExec(id: string, execId: string): Promise<Exit | undefined> {
    const container = this.#need(id);
    const held = this.#process(id, execId);
    if (held.status === 'running') throw new RuntimeError('FailedPrecondition', `exec ${execId} is still running`);
    if (held.status === 'created') {
      await this.#connection(held).kill(SIGKILL);
      await held.wait();
    }
    held.connection?.quit();
    container.execs.delete(execId);
    held.close(new RuntimeError('NotFound', 'process does not exist'));
    removeStateFolder(held.folder);
    return held.exit;
  }

  async state(id: string): Promise<ContainerState> {
    return stateOf(this.#need(id));
  }

  async execState(id: string, execId: string): Promise<AdoptedProcess> {
    return adopted(id, execId, this.#process(id, execId));
  }

  async list(): Promise<ContainerState[]> {
    return [...this.#containers.values()].map(stateOf);
  }

  async pause(id: string): Promise<void> {
    await this.#freeze(id, true);
  }

  async resume(id: string): Promise<void> {
    await this.#freeze(id, false);
  }

  async update(id: string, resources: Resources): Promise<void> {
    const { record } = this.#need(id);
    const plan = new Plan();
    this.#cgroups.planUpdate(plan, record.folders, resources);
    await this.#helper.run(plan).catch((error: unknown) => {
      throw explained(error);
    });
  }

  async stats(id: string): Promise<Stats> {
    const { record } = this.#need(id);
    return { readAt: this.#clock.now(), ...(await this.#cgroups.stats(record.folders)) };
  }

  async pids(id: string): Promise<number[]> {
    return this.#cgroups.pids(this.#need(id).record.folders);
  }

  async resize(id: string, { width, height }: { width: number; height: number }, execId?: string): Promise<void> {
    this.#connection(this.#process(id, execId)).resize(width, height);
  }

  async attach(id: string, execId?: string): Promise<Attachment> {
    return openAttachment(this.#process(id, execId).folder);
  }

  async closeStdin(id: string, execId?: string): Promise<void> {
    this.#process(id, execId).connection?.closeStdin();
  }

  async reopenLog(id: string): Promise<void> {
    await this.#connection(this.#process(id)).reopenLog();
  }

  async adopt(): Promise<AdoptedProcess[]> {
    const found: AdoptedProcess[] = [];
    for (const id of listStateFolders(this.#stateDir)) {
      if (this.#containers.has(id)) continue;
      const folder = join(this.#stateDir, id);
      let record: ContainerRecord | undefined;
      try {
        record = readRecord(folder);
      } catch (error) {
        // Damaged, or of another version of this program: it must not keep the other containers from being found.
        this.#warn(`container ${id} cannot be adopted`, error);
        continue;
      }
      if (record === undefined || readStateFile(folder, 'pid') === undefined) {
        // Creation was cut off, and its process died with the one that was setting it up.
        if (record !== undefined) await this.#helper.run(this.#removePlan(record));
        removeStateFolder(folder);
        continue;
      }
      const init = new HeldProcess(folder, record.spec.process?.terminal === true, record, this.#cgroups, this.#clock);
      const container: Container = { record, folder, init, execs: new Map(), paused: false };
      await init.connect();
      container.paused = await this.#cgroups.frozen(record.folders);
      this.#containers.set(id, container);
      found.push(adopted(id, undefined, init));
      for (const execId of listStateFolders(join(folder, 'exec'))) {
        const held = new HeldProcess(join(folder, 'exec', execId), false, record, this.#cgroups, this.#clock);
        await held.connect();
        container.execs.set(execId, held);
        found.push(adopted(id, execId, held));
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new RuntimeError('Internal', 'the runtime was closed');
    for (const { init, execs } of this.#containers.values())
      for (const held of [init, ...execs.values()]) held.close(reason);
    this.#containers.clear();
  }

  #launchContext(record: ContainerRecord, terminal: boolean, first: boolean) {
    return {
      cgroups: this.#cgroups,
      folders: record.folders,
      available: this.#available,
      seccomp: this.#filter(record.spec),
      streams: terminal ? ({ kind: 'terminal', bindConsole: first } as const) : ({ kind: 'pipes' } as const),
      preserveFds: 0,
    };
  }

  /** Containers of one profile share its program. */
  #filter(spec: Spec): SeccompFilter | undefined {
    const seccomp = spec.linux?.seccomp;
    if (seccomp === undefined) return undefined;
    const key = JSON.stringify(seccomp, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
    let filter = this.#filters.get(key);
    if (filter === undefined) {
      filter = compileSeccomp(seccomp, this.#arch);
      if (this.#filters.size >= 64) this.#filters.clear();
      this.#filters.set(key, filter);
    }
    return filter;
  }

  async #launch(
    folder: string,
    record: ContainerRecord,
    launch: Launch,
    terminal: boolean,
    stdio: CreateOptions['stdio'],
  ): Promise<HeldProcess> {
    const plan = new Plan(launch.explanations);
    await this.#helper.startMonitor(monitorBytes(folder, terminal, stdio, launch.bytes), plan);
    const held = new HeldProcess(folder, terminal, record, this.#cgroups, this.#clock);
    held.explanations = launch.explanations;
    await held.connect();
    return held;
  }

  async #freeze(id: string, frozen: boolean): Promise<void> {
    const container = this.#need(id);
    if (frozen && container.init.status !== 'running')
      throw new RuntimeError('FailedPrecondition', 'container not running');
    if (!frozen && !container.paused) throw new RuntimeError('FailedPrecondition', 'container not paused');
    const plan = new Plan();
    this.#cgroups.planFreeze(plan, container.record.folders, frozen);
    await this.#helper.run(plan);
    for (let tries = 0; (await this.#cgroups.frozen(container.record.folders)) !== frozen; tries++) {
      if (tries === freezeTries) throw new RuntimeError('Internal', 'unable to freeze');
      await sleep(this.#clock, 1);
    }
    container.paused = frozen;
  }

  #killPlan(record: ContainerRecord, signal: number, limitMs: number): Plan {
    const plan = new Plan();
    this.#cgroups.planKill(plan, record.folders, signal, limitMs);
    return plan;
  }

  #removePlan(record: ContainerRecord): Plan {
    const plan = this.#killPlan(record, SIGKILL, killMs);
    this.#cgroups.planRemove(plan, record.folders);
    return plan;
  }

  #need(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) throw new RuntimeError('NotFound', 'container does not exist');
    return container;
  }

  #process(id: string, execId?: string): HeldProcess {
    const container = this.#need(id);
    const held = execId === undefined ? container.init : container.execs.get(execId);
    if (held === undefined) throw new RuntimeError('NotFound', `process ${execId} does not exist`);
    return held;
  }

  #connection(held: HeldProcess) {
    if (held.connection === undefined) throw new RuntimeError('NotFound', 'process already finished');
    return held.connection;
  }
}

function readBundle(bundle: string): Spec {
  const text = readStateFile(bundle, 'config.json');
  if (text === undefined) throw new RuntimeError('InvalidArgument', 'JSON specification file config.json not found');
  try {
    return parseSpec(text);
  } catch (error) {
    if (error instanceof SpecError) throw new RuntimeError('InvalidArgument', `config.json: ${error.message}`, error);
    throw error;
  }
}

/** What an exec does not say it has from the container. */
function completeExec(process: Process, spec: Spec): Process {
  const first = spec.process;
  return {
    ...process,
    ...(process.capabilities === undefined && first?.capabilities !== undefined
      ? { capabilities: first.capabilities }
      : {}),
    ...(process.rlimits === undefined && first?.rlimits !== undefined ? { rlimits: first.rlimits } : {}),
    ...(process.oomScoreAdj === undefined && first?.oomScoreAdj !== undefined
      ? { oomScoreAdj: first.oomScoreAdj }
      : {}),
  };
}

/** A pid namespace of its own dies whole with its first process. */
export function ownsPids(spec: Spec): boolean {
  return (spec.linux?.namespaces ?? []).some(({ type, path }) => type === 'pid' && !path);
}

/** The helper's refusals in upstream's words. */
function explained(error: unknown): unknown {
  if (!(error instanceof HelperError)) return error;
  return new RuntimeError('Internal', `unable to start container process: ${error.message}`, error);
}

function stateOf({ record, init, paused }: Container): ContainerState {
  const { id, bundle, rootfs, createdAt, labels, folders, spec } = record;
  const { exit } = init;
  return {
    id,
    status: paused && exit === undefined ? 'paused' : init.status,
    pid: exit === undefined ? init.pid : 0,
    pidStartTime: init.pidStartTime,
    bundle,
    rootfs,
    createdAt,
    startedAt: init.startedAt,
    annotations: spec.annotations ?? {},
    labels,
    cgroups: folders,
    ...(exit === undefined ? {} : { exit }),
  };
}

function adopted(id: string, execId: string | undefined, held: HeldProcess): AdoptedProcess {
  return {
    id,
    ...(execId === undefined ? {} : { execId }),
    pid: held.pid,
    pidStartTime: held.pidStartTime,
    status: held.status,
    ...(held.exit === undefined ? {} : { exit: held.exit }),
  };
}
