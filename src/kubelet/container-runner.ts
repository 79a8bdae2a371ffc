/**
 * Carries out a pod's next actions through CRI: sandboxes and containers created, started, stopped, removed; images,
 * volumes and environment prepared; hooks and probes run. It remembers why a container waits, for the status.
 */
import type { ImageService, RuntimeService } from '#cri-client/client.ts';
import type { Clock } from '#std/clock.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { Backoff } from './backoff.ts';
import { containerConfig, type SandboxInputs, sandboxConfig } from './container-config.ts';
import { EnvError } from './env.ts';
import { ImageError, type ImageManager } from './image-manager.ts';
import type { LifecycleHooks } from './lifecycle-hooks.ts';
import { ObjectError } from './object-watches.ts';
import { type Container, isSidecar, type Pod } from './pod.ts';
import type { PodResources } from './pod-resources.ts';
import type { Prober } from './prober.ts';
import type { RuntimeContainer, RuntimePod } from './runtime-pod.ts';
import type { ContainerToStart, SyncActions, Verdicts } from './sync-actions.ts';
import { VolumeError } from './volumes/payload.ts';

export interface ContainerRunnerDeps {
  readonly clock: Clock;
  readonly runtime: RuntimeService;
  readonly images: ImageService;
  readonly imageManager: ImageManager;
  readonly crashBackoff: Backoff;
  readonly prober: Prober;
  readonly hooks: LifecycleHooks;
  /** Environment, mounts and volumes of pods. */
  readonly resources: PodResources;
  readonly sandboxInputs: (pod: Pod, attempt: number) => SandboxInputs;
  /** Of a pod that is gone. */
  readonly removePodCgroup: (pod: Pod) => void;
  readonly event: (
    pod: Pod,
    container: Container | undefined,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ) => void;
  readonly nodeMemoryBytes: bigint;
}

interface Waiting {
  readonly reason: string;
  readonly message: string;
}

/** A container has this long between its stop signal and SIGKILL at least, whatever is left of the grace period. Upstream's figure. */
const minimumGraceSeconds = 2;
const retryMs = 2000;

export class ContainerRunner {
  readonly #deps: ContainerRunnerDeps;
  /** Why a container does not run, by `uid/name`. */
  readonly #waiting = new Map<string, Waiting>();
  /** Containers that are being stopped, with their pod's uid: a stop that starts over with less time runs no hook again. */
  readonly #stopping = new Map<string, string>();

  constructor(deps: ContainerRunnerDeps) {
    this.#deps = deps;
  }

  waitingReason(pod: Pod, container: string): Waiting | undefined {
    return this.#waiting.get(`${pod.metadata.uid}/${container}`);
  }

  /** Lets probes follow what runs. */
  observe(pod: Pod, runtime: RuntimePod): void {
    const { prober } = this.#deps;
    const alive = new Set<string>();
    const ip = runtime.sandboxes[0]?.ips[0] ?? '';
    for (const container of [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers])
      for (const instance of runtime.containers)
        if (instance.name === container.name && instance.state === 'running') {
          alive.add(instance.id);
          prober.watch(pod, container, instance.id, pod.spec.hostNetwork ? this.#deps.resources.hostIp : ip);
          this.#waiting.delete(`${pod.metadata.uid}/${container.name}`);
        }
    prober.keep(pod.metadata.uid, alive);
  }

  verdicts(_pod: Pod, runtime: RuntimePod): Verdicts {
    const { prober } = this.#deps;
    const names = new Map(runtime.containers.map(({ id, name }) => [id, name]));
    return {
      mustRestart: (id) => prober.mustRestart(id, names.get(id) ?? ''),
      started: (id) => prober.started(id),
    };
  }

  /**
   * @param signal gives up what takes its time: pulls, hooks, stopping. Rejects then
   * @returns ms until the next step is worth trying; 0 for at once
   */
  async carryOut(pod: Pod, runtime: RuntimePod, actions: SyncActions, signal: AbortSignal): Promise<number> {
    const { event, prober } = this.#deps;
    if (actions.sandboxToKill !== undefined) {
      if (runtime.containers.length > 0)
        event(pod, undefined, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
      await this.killPod(pod, runtime, pod.spec.terminationGracePeriodSeconds ?? 30, signal);
    }
    for (const { container, reason } of actions.toKill) {
      const message = `${reason}, will be restarted`;
      await this.#killContainer(pod, container, pod.spec.terminationGracePeriodSeconds ?? 30, message, signal);
      prober.keep(
        pod.metadata.uid,
        new Set(runtime.containers.filter(({ id }) => id !== container.id).map(({ id }) => id)),
      );
    }
    if (!(await this.refreshVolumes(pod))) return retryMs;
    let sandboxId = runtime.sandboxes[0]?.id;
    let podIps = runtime.sandboxes[0]?.ips ?? [];
    const inputs = this.#deps.sandboxInputs(pod, actions.sandboxAttempt);
    const sandbox = sandboxConfig(pod, inputs);
    if (actions.createSandbox) {
      for (const warning of inputs.dnsWarnings) event(pod, undefined, 'Warning', 'DNSConfigForming', warning);
      try {
        ({ podSandboxId: sandboxId } = await this.#deps.runtime.runPodSandbox({ config: sandbox, runtimeHandler: '' }));
      } catch (error) {
        event(pod, undefined, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${describe(error)}`);
        return retryMs;
      }
      const { status } = await this.#deps.runtime.podSandboxStatus({ podSandboxId: sandboxId, verbose: false });
      podIps = [status?.network?.ip ?? '', ...(status?.network?.additionalIps ?? []).map(({ ip }) => ip)].filter(
        (ip) => ip !== '',
      );
    }
    if (pod.spec.hostNetwork) podIps = [this.#deps.resources.hostIp];
    let nextMs: number | undefined;
    for (const start of actions.toStart) {
      signal.throwIfAborted();
      const waitMs = await this.#startContainer(pod, runtime, start, sandboxId!, sandbox, podIps, signal);
      nextMs = nextMs === undefined ? waitMs : Math.min(nextMs, waitMs);
    }
    return nextMs ?? 0;
  }

  /** Makes the pod's volumes, or brings them up to date. @returns whether all are there; what is wrong is told as an event */
  async refreshVolumes(pod: Pod): Promise<boolean> {
    try {
      await this.#deps.resources.mountVolumes(pod);
      return true;
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      this.#deps.event(pod, undefined, 'Warning', 'FailedMount', error.message);
      return false;
    }
  }

  /** Stops containers (all at once, within the grace period together), then the sandbox. Rejects when `signal` aborts first. */
  async killPod(pod: Pod, runtime: RuntimePod, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
    const running = runtime.containers.filter(({ state }) => state === 'running');
    const untilMs = clock.monotonicMs() + graceSeconds * 1000;
    const kill = (container: RuntimeContainer) => {
      const leftSeconds = Math.ceil((untilMs - clock.monotonicMs()) / 1000);
      return this.#killContainer(pod, container, leftSeconds, `Stopping container ${container.name}`, signal);
    };
    await Promise.all(running.filter(({ name }) => !sidecars.includes(name)).map(kill));
    // Sidecars outlive the main containers, and go in reverse order of their start.
    for (const sidecar of sidecars.reverse())
      for (const container of running.filter(({ name }) => name === sidecar)) await kill(container);
    for (const sandbox of runtime.sandboxes) await this.stopSandbox(sandbox.id);
  }

  async stopSandbox(id: string): Promise<void> {
    await this.#deps.runtime.stopPodSandbox({ podSandboxId: id });
  }

  /**
   * Removes what a pod leaves behind.
   * @param all also its dead containers, sandboxes and volumes (the pod is deleted, not just finished)
   */
  async cleanUp(pod: Pod, runtime: RuntimePod, all: boolean): Promise<void> {
    this.#deps.prober.keep(pod.metadata.uid, new Set());
    if (!all) return;
    for (const sandbox of runtime.sandboxes) await this.#deps.runtime.removePodSandbox({ podSandboxId: sandbox.id });
    this.#deps.removePodCgroup(pod);
    await this.#deps.resources.unmountVolumes(pod.metadata.uid);
    this.forget(pod.metadata.uid);
  }

  forget(uid: string): void {
    for (const key of this.#waiting.keys()) if (key.startsWith(`${uid}/`)) this.#waiting.delete(key);
    this.#deps.crashBackoff.forget(`${uid}/`);
    this.#deps.imageManager.forget(uid);
    for (const [id, owner] of this.#stopping) if (owner === uid) this.#stopping.delete(id);
  }

  async #startContainer(
    pod: Pod,
    runtime: RuntimePod,
    { container, restartCount }: ContainerToStart,
    sandboxId: string,
    sandbox: ReturnType<typeof sandboxConfig>,
    podIps: readonly string[],
    signal: AbortSignal,
  ): Promise<number> {
    const { event, crashBackoff, imageManager, resources } = this.#deps;
    const key = `${pod.metadata.uid}/${container.name}`;
    const waitMs = this.#crashWaitMs(runtime, container, key);
    if (waitMs > 0) {
      const seconds = crashBackoff.delayMs(key) / 1000;
      const message = `back-off ${goDuration(seconds)} restarting failed container=${container.name} pod=${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
      this.#waiting.set(key, { reason: 'CrashLoopBackOff', message });
      event(
        pod,
        container,
        'Warning',
        'BackOff',
        `Back-off restarting failed container ${container.name} in pod ${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`,
      );
      return waitMs;
    }
    let id: string | undefined;
    try {
      const imageReference = await imageManager.ensure(pod, container, signal);
      const env = await resources.environment(pod, container, podIps);
      const mounts = await resources.mounts(pod, container, podIps, restartCount, env);
      const config = containerConfig(pod, container, {
        restartCount,
        imageReference,
        env,
        mounts,
        nodeMemoryBytes: this.#deps.nodeMemoryBytes,
      });
      ({ containerId: id } = await this.#deps.runtime.createContainer({
        podSandboxId: sandboxId,
        config,
        sandboxConfig: sandbox,
      }));
      event(pod, container, 'Normal', 'Created', `Container created`);
      await this.#deps.runtime.startContainer({ containerId: id });
      event(pod, container, 'Normal', 'Started', `Container started`);
      this.#waiting.delete(key);
    } catch (error) {
      signal.throwIfAborted();
      const waiting = waitingOf(error, id !== undefined);
      this.#waiting.set(key, waiting);
      if (!(error instanceof ImageError)) event(pod, container, 'Warning', 'Failed', `Error: ${waiting.message}`);
      if (id !== undefined) crashBackoff.next(key);
      return error instanceof ImageError ? Math.max(imageManager.retryInMs(pod, container), 1000) : retryMs;
    }
    const postStart = container.lifecycle?.postStart;
    if (postStart !== undefined) {
      const failure = await this.#deps.hooks.run(container, id, postStart, podIps[0] ?? '', signal);
      signal.throwIfAborted();
      if (failure !== undefined) {
        event(pod, container, 'Warning', 'FailedPostStartHook', `PostStartHook failed`);
        await this.#deps.runtime.stopContainer({ containerId: id, timeout: BigInt(minimumGraceSeconds) }, { signal });
      }
    }
    return 0;
  }

  /** A container that ran before waits before it runs again; each crash doubles the wait. */
  #crashWaitMs(runtime: RuntimePod, container: Container, key: string): number {
    const { clock, crashBackoff } = this.#deps;
    const last = runtime.containers
      .filter(({ name, state }) => name === container.name && state === 'exited')
      .sort((a, b) => b.finishedAtMs - a.finishedAtMs)[0];
    if (last === undefined) return 0;
    const sinceMs = clock.monotonicMs() - Math.max(0, clock.now() - last.finishedAtMs);
    const waitMs = crashBackoff.remainingMs(key, sinceMs);
    if (waitMs === 0) crashBackoff.next(key);
    return waitMs;
  }

  async #killContainer(
    pod: Pod,
    container: RuntimeContainer,
    graceSeconds: number,
    message: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, event, hooks, runtime } = this.#deps;
    const { id } = container;
    const untilMs = clock.monotonicMs() + graceSeconds * 1000;
    const spec = specOf(pod, container.name);
    if (spec !== undefined && !this.#stopping.has(id)) {
      this.#stopping.set(id, pod.metadata.uid);
      event(pod, spec, 'Normal', 'Killing', message);
      const preStop = spec.lifecycle?.preStop;
      if (preStop !== undefined && graceSeconds > 0) {
        const failure = await hooks.run(spec, id, preStop, pod.status?.podIP ?? '', signal, graceSeconds * 1000);
        signal.throwIfAborted();
        if (failure !== undefined) event(pod, spec, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
      }
    }
    const leftSeconds = Math.max(minimumGraceSeconds, Math.ceil((untilMs - clock.monotonicMs()) / 1000));
    await runtime.stopContainer({ containerId: id, timeout: BigInt(leftSeconds) }, { signal });
    this.#stopping.delete(id);
  }
}

function specOf(pod: Pod, name: string): Container | undefined {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find((container) => container.name === name);
}

function waitingOf(error: unknown, created: boolean): Waiting {
  if (error instanceof ImageError) return { reason: error.reason, message: error.message };
  if (error instanceof EnvError || error instanceof VolumeError || error instanceof ObjectError)
    return { reason: 'CreateContainerConfigError', message: error.message };
  return { reason: created ? 'RunContainerError' : 'CreateContainerError', message: describe(error) };
}

/** As a Go client prints a gRPC error. */
function describe(error: unknown): string {
  const { code, message } = RpcError.from(error);
  return `rpc error: code = ${goCode(code)} desc = ${message}`;
}

const goCodes = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

function goCode(code: number): string {
  return goCodes[code] ?? `Code(${code})`;
}

/** `10s`, `1m20s`, `5m0s`. */
function goDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}
