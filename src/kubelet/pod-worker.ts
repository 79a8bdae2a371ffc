/**
 * Drives one pod on this node, one step at a time: computes what must happen next (`sync-actions.ts`), does it through CRI,
 * and comes back. A pod passes through three states, and never goes back: syncing, terminating (its containers are being
 * stopped), terminated (everything of it is cleaned up). Upstream's pod workers.
 */
import type { Clock } from '#std/clock.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { ContainerRunner } from './container-runner.ts';
import type { Pod } from './pod.ts';
import type { RuntimePod } from './runtime-pod.ts';
import { computeActions, hasEnded, type SyncActions } from './sync-actions.ts';

export type WorkerState = 'syncing' | 'terminating' | 'terminated';

export interface PodWorkerDeps {
  readonly clock: Clock;
  readonly runner: ContainerRunner;
  /** The pod as the runtime holds it now. */
  readonly read: (uid: string) => Promise<RuntimePod>;
  /** Called after every step: publish the status. */
  readonly report: (worker: PodWorker, runtime: RuntimePod) => void;
  /** Called after every step of a pod that lives: removes what has become old. */
  readonly tidy: (runtime: RuntimePod) => Promise<void>;
  /** Called once everything of the pod is gone from the node. */
  readonly finished: (worker: PodWorker) => void;
  readonly log: (message: string, error?: unknown) => void;
}

/** A pod is looked at again this often even when nothing was heard. */
const resyncMs = 60_000;
/** No pod has less, whatever was asked for. Upstream's figure. */
const graceSecondsMin = 1;

export class PodWorker {
  pod: Pod;
  state: WorkerState = 'syncing';
  /** Set once the pod is given up: refused, past its deadline. */
  failure: { readonly reason: string; readonly message: string } | undefined;
  readonly #deps: PodWorkerDeps;
  #running = false;
  #again = false;
  #stopped = false;
  #timer: Disposable | undefined;
  #done: Promise<void> = Promise.resolve();
  /** The shortest grace period anybody has asked for. */
  #graceSeconds: number | undefined;
  /** The step under way. What it waits for is given up when the pod must end, or end sooner. */
  #current: { readonly abort: AbortController; killGraceSeconds: number | undefined } | undefined;

  constructor(pod: Pod, deps: PodWorkerDeps) {
    this.pod = pod;
    this.#deps = deps;
  }

  get uid(): string {
    return this.pod.metadata.uid;
  }

  /** Takes a newer version of the pod. */
  update(pod: Pod): void {
    this.pod = pod;
    this.poke();
  }

  /**
   * Starts termination: the pod was deleted, has failed, or is no longer ours. Asked again with a shorter grace period, it starts over with that;
   * a longer one changes nothing.
   */
  terminate(graceSeconds?: number): void {
    const begins = this.state === 'syncing';
    if (begins) this.state = 'terminating';
    if (graceSeconds !== undefined && (this.#graceSeconds === undefined || graceSeconds < this.#graceSeconds))
      this.#graceSeconds = graceSeconds;
    const killing = this.#current?.killGraceSeconds;
    const sooner = killing !== undefined && this.#graceSeconds !== undefined && this.#graceSeconds < killing;
    if (begins || sooner) this.#current?.abort.abort(new Error('the pod is to end'));
    this.poke();
  }

  /** Asks for a step soon. Steps never overlap. */
  poke(): void {
    if (this.#stopped) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#timer?.[Symbol.dispose]();
    this.#done = this.#step().finally(() => {
      this.#running = false;
      if (this.#again) {
        this.#again = false;
        this.poke();
      }
    });
  }

  /** Ends the worker; what runs in the runtime keeps running. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#current?.abort.abort(new Error('the kubelet stops'));
    this.#timer?.[Symbol.dispose]();
    await this.#done;
  }

  async #step(): Promise<void> {
    let nextMs = resyncMs;
    const abort = new AbortController();
    this.#current = { abort, killGraceSeconds: undefined };
    try {
      const runtime = await this.#deps.read(this.uid);
      if (this.#stopped) return;
      switch (this.state) {
        case 'syncing':
          nextMs = await this.#sync(runtime, abort.signal);
          break;
        case 'terminating':
          await this.#terminate(runtime, abort.signal);
          break;
        case 'terminated':
          return;
      }
    } catch (error) {
      // Given up for what came meanwhile, which has asked for the next step.
      if (abort.signal.aborted) return;
      this.#deps.log(
        `sync pod ${this.pod.metadata.namespace}/${this.pod.metadata.name}: ${RpcError.from(error).message}`,
        error,
      );
      nextMs = 1000;
    } finally {
      this.#current = undefined;
    }
    if (this.#stopped || (this.state as WorkerState) === 'terminated') return;
    this.#timer = this.#deps.clock.after(nextMs, () => this.poke());
  }

  /** @returns when to look again at the latest, in ms */
  async #sync(before: RuntimePod, signal: AbortSignal): Promise<number> {
    const { clock, runner } = this.#deps;
    const deadline = this.pod.spec.activeDeadlineSeconds;
    if (deadline !== undefined && this.pod.status?.startTime !== undefined) {
      const leftMs = Date.parse(this.pod.status.startTime) + deadline * 1000 - clock.now();
      if (leftMs <= 0) {
        this.failure = {
          reason: 'DeadlineExceeded',
          message: 'Pod was active on the node longer than the specified deadline',
        };
        this.terminate();
        this.#deps.report(this, before);
        return 0;
      }
    }
    runner.observe(this.pod, before);
    const actions = computeActions(this.pod, before, runner.verdicts(this.pod, before));
    let waitMs: number | undefined;
    if (hasWork(actions)) {
      // Pulling may take minutes: that the pod is being made is told before.
      if (actions.createSandbox) this.#deps.report(this, before);
      waitMs = await runner.carryOut(this.pod, before, actions, signal);
      const after = await this.#deps.read(this.uid);
      runner.observe(this.pod, after);
      this.#deps.report(this, after);
      await this.#deps.tidy(after);
      // A step often allows the next one: an init container has ended, the sandbox is there.
      if (waitMs === 0) this.#again = true;
    } else {
      this.#deps.report(this, before);
      if (hasEnded(this.pod, before)) await this.#endRest(before, signal);
      else await runner.refreshVolumes(this.pod);
    }
    return Math.min(waitMs ?? resyncMs, resyncMs);
  }

  /** A pod that has run to its end keeps its dead containers (logs), but neither its sidecars nor its sandbox's network. */
  async #endRest(runtime: RuntimePod, signal: AbortSignal): Promise<void> {
    const running = runtime.containers.some(({ state }) => state === 'running');
    if (!running && !runtime.sandboxes.some(({ ready }) => ready)) return;
    await this.#deps.runner.killPod(this.pod, runtime, this.pod.spec.terminationGracePeriodSeconds ?? 30, signal);
    if (running) this.#again = true;
  }

  async #terminate(runtime: RuntimePod, signal: AbortSignal): Promise<void> {
    const { runner } = this.#deps;
    const grace = Math.max(
      graceSecondsMin,
      this.#graceSeconds ??
        this.pod.metadata.deletionGracePeriodSeconds ??
        this.pod.spec.terminationGracePeriodSeconds ??
        30,
    );
    this.#deps.report(this, runtime);
    this.#current!.killGraceSeconds = grace;
    await runner.killPod(this.pod, runtime, grace, signal);
    const after = await this.#deps.read(this.uid);
    this.#deps.report(this, after);
    if (after.containers.some(({ state }) => state === 'running')) return;
    await runner.cleanUp(this.pod, after, this.pod.metadata.deletionTimestamp !== undefined);
    this.state = 'terminated';
    this.#deps.report(this, await this.#deps.read(this.uid));
    this.#deps.finished(this);
  }
}

function hasWork(actions: SyncActions): boolean {
  return (
    actions.sandboxToKill !== undefined ||
    actions.createSandbox ||
    actions.toKill.length > 0 ||
    actions.toStart.length > 0
  );
}
