/**
 * What must happen next to a pod on this node: pure arithmetic over its spec and what the runtime reports. The worker
 * (`pod-worker.ts`) carries it out and asks again.
 */
import { type Container, isSidecar, type Pod } from './pod.ts';
import type { RuntimeContainer, RuntimePod, RuntimeSandbox } from './runtime-pod.ts';

export interface ContainerToStart {
  readonly container: Container;
  /** How many instances of it have run before. */
  readonly restartCount: number;
  readonly init: boolean;
}

export interface ContainerToKill {
  readonly container: RuntimeContainer;
  readonly reason: string;
}

export interface SyncActions {
  /** The sandbox to stop (with everything in it) before anything else. */
  readonly sandboxToKill: RuntimeSandbox | undefined;
  readonly createSandbox: boolean;
  /** Attempt number of the sandbox to create. */
  readonly sandboxAttempt: number;
  readonly toKill: readonly ContainerToKill[];
  readonly toStart: readonly ContainerToStart[];
}

/** What probes and hooks have decided about a container. */
export interface Verdicts {
  /** Why the running instance must go: a failed liveness or startup probe. */
  mustRestart(containerId: string): string | undefined;
  /** Whether a sidecar's startup probe has passed (true without one). */
  started(containerId: string): boolean;
}

export function computeActions(pod: Pod, runtime: RuntimePod, verdicts: Verdicts): SyncActions {
  const sandbox = runtime.sandboxes[0];
  const usable = sandbox?.ready === true && (pod.spec.hostNetwork === true || sandbox.ips.length > 0);
  const actions = {
    sandboxToKill: sandbox !== undefined && !usable ? sandbox : undefined,
    createSandbox: !usable,
    sandboxAttempt: usable ? sandbox.attempt : (sandbox?.attempt ?? -1) + 1,
  };
  if (hasEnded(pod, runtime)) {
    // Its sandbox was or will be stopped because of that; stopping it again would change nothing, and never end.
    const running = runtime.containers.some(({ state }) => state === 'running');
    const sandboxToKill = running ? actions.sandboxToKill : undefined;
    return { ...actions, sandboxToKill, createSandbox: false, toKill: [], toStart: [] };
  }
  if (!usable) return withoutSandbox(pod, runtime, actions);

  const toKill: ContainerToKill[] = [];
  const toStart: ContainerToStart[] = [];
  const initDone = planInit(pod, runtime, sandbox, verdicts, toKill, toStart);
  if (initDone)
    for (const container of pod.spec.containers) {
      const current = latest(runtime, container.name);
      if (current?.state === 'running') {
        const reason = verdicts.mustRestart(current.id);
        if (reason === undefined) continue;
        toKill.push({ container: current, reason });
        if (pod.spec.restartPolicy === 'Never') continue;
      } else if (current?.state === 'created' || current?.state === 'unknown') {
        toKill.push({ container: current, reason: 'Container is in an unknown state' });
      } else if (current !== undefined && !shouldRestart(pod, current.exitCode)) continue;
      toStart.push({ container, restartCount: attemptAfter(current), init: false });
    }
  return { ...actions, toKill, toStart };
}

/** A lost sandbox takes its containers with it. */
function withoutSandbox(
  pod: Pod,
  runtime: RuntimePod,
  actions: Pick<SyncActions, 'sandboxToKill' | 'createSandbox' | 'sandboxAttempt'>,
): SyncActions {
  const first = pod.spec.initContainers?.[0];
  const toStart =
    first !== undefined
      ? [{ container: first, restartCount: attemptAfter(latest(runtime, first.name)), init: true }]
      : pod.spec.containers
          .filter((container) => {
            const current = latest(runtime, container.name);
            return current === undefined || current.state !== 'exited' || shouldRestart(pod, current.exitCode);
          })
          .map((container) => ({
            container,
            restartCount: attemptAfter(latest(runtime, container.name)),
            init: false,
          }));
  return { ...actions, toKill: [], toStart };
}

/**
 * Init containers one after the other; sidecars among them start in order, keep running, and are restarted for ever.
 * Each sandbox has its own run of them: what ended in an earlier one (before a reboot) does not count.
 * @returns whether the main containers may run
 */
function planInit(
  pod: Pod,
  runtime: RuntimePod,
  sandbox: RuntimeSandbox,
  verdicts: Verdicts,
  toKill: ContainerToKill[],
  toStart: ContainerToStart[],
): boolean {
  // Once a main container has run, init is over; only sidecars are still looked after.
  const mainRan = pod.spec.containers.some(({ name }) => latest(runtime, name)?.sandboxId === sandbox.id);
  for (const container of pod.spec.initContainers ?? []) {
    const newest = latest(runtime, container.name);
    const current = newest?.sandboxId === sandbox.id ? newest : undefined;
    if (isSidecar(container)) {
      if (current?.state === 'running') {
        const reason = verdicts.mustRestart(current.id);
        if (reason !== undefined) {
          toKill.push({ container: current, reason });
          toStart.push({ container, restartCount: attemptAfter(newest), init: true });
        } else if (!mainRan && !verdicts.started(current.id)) return false;
        continue;
      }
      toStart.push({ container, restartCount: attemptAfter(newest), init: true });
      if (!mainRan) return false;
      continue;
    }
    if (mainRan) continue;
    if (current?.state === 'exited' && current.exitCode === 0) continue;
    if (current?.state === 'running') return false;
    if (current?.state === 'exited' && pod.spec.restartPolicy === 'Never') return false;
    toStart.push({ container, restartCount: attemptAfter(newest), init: true });
    return false;
  }
  return true;
}

/**
 * Whether nothing of the pod will be started again: an init container has failed for good, or all main containers are through. Sidecars may
 * still run, and are to be ended now.
 */
export function hasEnded(pod: Pod, runtime: RuntimePod): boolean {
  const over = ({ name }: Container) => {
    const current = latest(runtime, name);
    return current?.state === 'exited' && !shouldRestart(pod, current.exitCode) ? current : undefined;
  };
  const failedInit = (pod.spec.initContainers ?? []).some((container) => {
    const ended = isSidecar(container) ? undefined : over(container);
    return ended !== undefined && ended.exitCode !== 0;
  });
  return failedInit || pod.spec.containers.every((container) => over(container) !== undefined);
}

/** The newest instance of a container. */
export function latest(runtime: RuntimePod, name: string): RuntimeContainer | undefined {
  let newest: RuntimeContainer | undefined;
  for (const container of runtime.containers)
    if (container.name === name && (newest === undefined || container.attempt > newest.attempt)) newest = container;
  return newest;
}

export function shouldRestart(pod: Pod, exitCode: number): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  switch (pod.spec.restartPolicy ?? 'Always') {
    case 'Always':
      return true;
    case 'OnFailure':
      return exitCode !== 0;
    case 'Never':
      return false;
  }
}

function attemptAfter(container: RuntimeContainer | undefined): number {
  return container === undefined ? 0 : container.attempt + 1;
}
