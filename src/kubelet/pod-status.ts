/**
 * The status of a pod, computed from its spec, what the runtime reports, and what probes found. Pure: time comes in.
 * Upstream's phases, conditions and reasons; https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
 */
import {
  type Container,
  type ContainerState,
  type ContainerStatus,
  isSidecar,
  type Pod,
  type PodCondition,
  type PodStatus,
  qosClass,
} from './pod.ts';
import type { RuntimeContainer, RuntimePod } from './runtime-pod.ts';
import { latest, shouldRestart } from './sync-actions.ts';

export interface StatusInputs {
  readonly runtime: RuntimePod;
  readonly nowMs: number;
  readonly hostIp: string;
  /** Why a container that is not running waits: `ImagePullBackOff` and its message. By container name. */
  waitingReason(container: string): { readonly reason: string; readonly message: string } | undefined;
  /** Readiness by container id, as probes see it (true without a probe). */
  ready(containerId: string): boolean;
  /** Whether the startup probe has passed (true without one). */
  started(containerId: string): boolean;
  /** What a terminated container left behind: its termination message. */
  terminationMessage(container: RuntimeContainer): string;
  /** The pod was given up: refused by admission, evicted, past its deadline. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

export function podStatus(pod: Pod, inputs: StatusInputs): PodStatus {
  const { runtime } = inputs;
  const previous = pod.status;
  const initStatuses = (pod.spec.initContainers ?? []).map((container) =>
    containerStatus(pod, container, inputs, true),
  );
  const statuses = pod.spec.containers.map((container) => containerStatus(pod, container, inputs, false));
  const reached = inputs.failure !== undefined ? 'Failed' : phaseOf(pod, initStatuses, statuses);
  // The end is told once nothing runs any more: sidecars, too, have ended, and what the pod held is free.
  const held = isTerminal(reached) && !isTerminal(previous?.phase) && hasRunning(runtime);
  const phase = held ? (previous?.phase ?? 'Running') : reached;
  const sandbox = runtime.sandboxes[0];
  const ips = pod.spec.hostNetwork
    ? sandbox === undefined
      ? []
      : [inputs.hostIp]
    : sandbox !== undefined && (sandbox.ready || sandbox.ips.length > 0)
      ? sandbox.ips
      : // What has ended gave its address back, and is still known by it.
        (previous?.podIPs?.map(({ ip }) => ip) ?? []);
  const status: PodStatus = {
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: conditions(pod, phase, initStatuses, statuses, inputs),
    ...(inputs.failure !== undefined && !held && inputs.failure),
    hostIP: inputs.hostIp,
    hostIPs: [{ ip: inputs.hostIp }],
    ...(ips.length > 0 && { podIP: ips[0]!, podIPs: ips.map((ip) => ({ ip })) }),
    startTime: previous?.startTime ?? timestamp(inputs.nowMs),
    ...(initStatuses.length > 0 && { initContainerStatuses: initStatuses }),
    containerStatuses: statuses,
    qosClass: previous?.qosClass ?? qosClass(pod),
  };
  return status;
}

function isTerminal(phase: PodStatus['phase']): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function hasRunning(runtime: RuntimePod): boolean {
  return runtime.containers.some(({ state }) => state === 'running');
}

/** RFC 3339 in whole seconds, as the API writes times. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function phaseOf(
  pod: Pod,
  init: readonly ContainerStatus[],
  main: readonly ContainerStatus[],
): NonNullable<PodStatus['phase']> {
  const initContainers = pod.spec.initContainers ?? [];
  for (const [i, status] of init.entries()) {
    if (isSidecar(initContainers[i]!)) continue;
    const terminated = status.state.terminated ?? status.lastState.terminated;
    if (terminated === undefined || status.state.running !== undefined) return 'Pending';
    if (terminated.exitCode !== 0) return pod.spec.restartPolicy === 'Never' ? 'Failed' : 'Pending';
  }
  let waiting = 0;
  let running = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const { state, lastState } of main) {
    if (state.running !== undefined) running++;
    else if (state.terminated !== undefined) {
      stopped++;
      if (state.terminated.exitCode === 0) succeeded++;
    } else if (lastState.terminated !== undefined) stopped++;
    else waiting++;
  }
  if (waiting > 0) return 'Pending';
  if (running > 0) return 'Running';
  if (stopped > 0) {
    if (pod.spec.restartPolicy === 'Always' && pod.metadata.deletionTimestamp === undefined) return 'Running';
    if (stopped === succeeded) return 'Succeeded';
    if (pod.spec.restartPolicy === 'Never' || pod.metadata.deletionTimestamp !== undefined) return 'Failed';
    return 'Running';
  }
  return 'Pending';
}

function containerStatus(pod: Pod, container: Container, inputs: StatusInputs, init: boolean): ContainerStatus {
  const instances = inputs.runtime.containers
    .filter(({ name }) => name === container.name)
    .sort((a, b) => b.attempt - a.attempt);
  const current = instances[0];
  const before = instances[1];
  const known = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find(
    ({ name }) => name === container.name,
  );
  if (current === undefined) {
    const hasInit = !init && (pod.spec.initContainers?.some((entry) => !isSidecar(entry)) ?? false);
    const initPending = hasInit && !initFinished(pod, inputs.runtime);
    const waiting = inputs.waitingReason(container.name) ?? {
      reason: initPending || init ? 'PodInitializing' : 'ContainerCreating',
      message: '',
    };
    return {
      name: container.name,
      state: { waiting: { reason: waiting.reason, ...(waiting.message !== '' && { message: waiting.message }) } },
      lastState: known?.state.terminated !== undefined ? { terminated: known.state.terminated } : {},
      ready: false,
      restartCount: known?.restartCount ?? 0,
      image: container.image ?? '',
      imageID: '',
      started: false,
    };
  }
  const waiting = current.state === 'exited' ? waitingToRestart(pod, container, current, inputs, init) : undefined;
  const state: ContainerState = waiting !== undefined ? { waiting } : stateOf(current, inputs);
  const last: ContainerState =
    waiting !== undefined
      ? stateOf(current, inputs)
      : before !== undefined
        ? stateOf(before, inputs)
        : (known?.lastState ?? {});
  const running = current.state === 'running';
  const succeededInit = init && !isSidecar(container) && current.state === 'exited' && current.exitCode === 0;
  return {
    name: container.name,
    state,
    lastState: last,
    ready: succeededInit || (running && inputs.started(current.id) && inputs.ready(current.id)),
    restartCount: current.attempt,
    image: current.image,
    imageID: current.imageId,
    containerID: `containerd://${current.id}`,
    started: running && inputs.started(current.id),
  };
}

function initFinished(pod: Pod, runtime: RuntimePod): boolean {
  return (pod.spec.initContainers ?? []).every((container) => {
    const current = latest(runtime, container.name);
    return isSidecar(container) ? current?.state === 'running' : current?.state === 'exited' && current.exitCode === 0;
  });
}

/** An exited container that will run again shows what it waits for, as `CrashLoopBackOff`. */
function waitingToRestart(
  pod: Pod,
  container: Container,
  current: RuntimeContainer,
  inputs: StatusInputs,
  init: boolean,
) {
  const reason = inputs.waitingReason(container.name);
  if (reason === undefined) return undefined;
  if (init && !isSidecar(container) && current.exitCode === 0) return undefined;
  if (!init && !shouldRestart(pod, current.exitCode)) return undefined;
  return reason;
}

function stateOf(container: RuntimeContainer, inputs: StatusInputs): ContainerState {
  switch (container.state) {
    case 'running':
      return { running: { startedAt: timestamp(container.startedAtMs) } };
    case 'exited': {
      const message = inputs.terminationMessage(container) || container.message;
      return {
        terminated: {
          exitCode: container.exitCode,
          reason: container.reason || (container.exitCode === 0 ? 'Completed' : 'Error'),
          ...(message !== '' && { message }),
          startedAt: timestamp(container.startedAtMs),
          finishedAt: timestamp(container.finishedAtMs),
          containerID: `containerd://${container.id}`,
        },
      };
    }
    case 'created':
    case 'unknown':
      return { waiting: { reason: 'ContainerCreating' } };
  }
}

function conditions(
  pod: Pod,
  phase: NonNullable<PodStatus['phase']>,
  init: readonly ContainerStatus[],
  main: readonly ContainerStatus[],
  inputs: StatusInputs,
): PodCondition[] {
  const names = (statuses: readonly ContainerStatus[]) => `[${statuses.map(({ name }) => name).join(' ')}]`;
  const notReady = main.filter(({ ready }) => !ready);
  const notInitialized = init.filter((status, i) =>
    isSidecar(pod.spec.initContainers![i]!) ? status.started !== true : !status.ready,
  );
  const finished = isTerminal(phase);
  const completed = { status: 'False', reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' } as const;
  const containersReady: Omit<PodCondition, 'type'> = finished
    ? completed
    : notReady.length > 0
      ? { status: 'False', reason: 'ContainersNotReady', message: `containers with unready status: ${names(notReady)}` }
      : { status: 'True' };
  const initialized: Omit<PodCondition, 'type'> =
    finished && phase === 'Succeeded'
      ? { status: 'True', reason: 'PodCompleted' }
      : notInitialized.length > 0
        ? {
            status: 'False',
            reason: 'ContainersNotInitialized',
            message: `containers with incomplete status: ${names(notInitialized)}`,
          }
        : { status: 'True' };
  const sandboxReady = inputs.runtime.sandboxes[0]?.ready === true && !finished;
  const own: [string, Omit<PodCondition, 'type'>][] = [
    ['PodReadyToStartContainers', { status: sandboxReady ? 'True' : 'False' }],
    ['Initialized', initialized],
    ['Ready', podReady(pod, containersReady)],
    ['ContainersReady', containersReady],
    ['PodScheduled', { status: 'True' }],
  ];
  const previous = new Map((pod.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const now = timestamp(inputs.nowMs);
  const result: PodCondition[] = own.map(([type, condition]) => {
    const known = previous.get(type);
    previous.delete(type);
    const lastTransitionTime = known?.status === condition.status ? (known.lastTransitionTime ?? now) : now;
    return { type, ...condition, lastProbeTime: null, lastTransitionTime };
  });
  // Conditions of others (readiness gates, disruption) stay as they are.
  return [...result, ...previous.values()];
}

/** Ready needs the containers and every readiness gate (KEP-580). */
function podReady(pod: Pod, containersReady: Omit<PodCondition, 'type'>): Omit<PodCondition, 'type'> {
  if (containersReady.status !== 'True') return containersReady;
  const missing = (pod.spec.readinessGates ?? []).filter(
    ({ conditionType }) => pod.status?.conditions?.find(({ type }) => type === conditionType)?.status !== 'True',
  );
  if (missing.length === 0) return { status: 'True' };
  const messages = missing.map(({ conditionType }) => {
    const found = pod.status?.conditions?.find(({ type }) => type === conditionType);
    return found === undefined
      ? `corresponding condition of pod readiness gate "${conditionType}" does not exist.`
      : `the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`;
  });
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: messages.join(', ') };
}
