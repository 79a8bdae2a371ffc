/**
 * The pods of this node: what the API wants here meets what the runtime holds, and each pod gets a worker. Pods that run without being wanted
 * are ended; pods that ran before the kubelet did are taken over as they are.
 */
import type { CriClient } from '#cri-client/client.ts';
import type { EventRecorder } from '#kube-client/event-recorder.ts';
import type { Informer } from '#kube-client/informer.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Scope } from '#std/scope.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { ContainerRunner } from './container-runner.ts';
import type { CriPods } from './cri-pods.ts';
import type { Garbage } from './garbage.ts';
import type { NodeObjects } from './node-objects.ts';
import { type Pod, podKey } from './pod.ts';
import { refusal } from './pod-admission.ts';
import { podStatus } from './pod-status.ts';
import { PodWorker } from './pod-worker.ts';
import type { Prober } from './prober.ts';
import type { RuntimePod } from './runtime-pod.ts';
import type { StatusManager } from './status-manager.ts';
import type { TerminationMessages } from './termination-messages.ts';

export interface KubeletDeps {
  readonly clock: Clock;
  readonly cri: CriClient;
  readonly pods: Informer<Pod>;
  readonly runtimePods: CriPods;
  readonly runner: ContainerRunner;
  readonly prober: Prober;
  readonly status: StatusManager;
  readonly objects: NodeObjects;
  readonly messages: TerminationMessages;
  readonly garbage: Garbage;
  readonly recorder: EventRecorder;
  readonly hostIp: string;
  readonly allocatable: () => Readonly<Record<string, string>>;
  readonly log: (message: string, error?: unknown) => void;
}

/** Containers that nobody wants are looked for this often. */
const housekeepingMs = 30_000;
const orphanGraceSeconds = 2;
/** While the runtime sends no events it is asked this often; upstream's figure. */
const relistMs = 1000;

export class Kubelet {
  readonly #deps: KubeletDeps;
  readonly #scope: Scope;
  /** By uid. */
  readonly #workers = new Map<string, PodWorker>();
  /** States of pods at the last relist, by uid. */
  #listed: ReadonlyMap<string, string> = new Map();

  constructor(scope: Scope, deps: KubeletDeps) {
    this.#scope = scope;
    this.#deps = deps;
  }

  /** The API's pods of this node, whether they run or have ended, with what is newest known of each. */
  list(): Pod[] {
    return this.#deps.pods.list().map((pod) => {
      const status = this.#deps.status.current(pod.metadata.uid);
      return status === undefined ? pod : { ...pod, status: merged(pod, status) };
    });
  }

  /** The pod the API has under this name, also one that ended before this kubelet began; else one that is still being ended. */
  find(namespace: string, name: string): Pod | undefined {
    const known = this.#deps.pods.get(`${namespace}/${name}`);
    if (known !== undefined) return known;
    for (const { pod } of this.#workers.values())
      if (pod.metadata.namespace === namespace && pod.metadata.name === name) return pod;
    return undefined;
  }

  /** Looks at a pod again soon. */
  poke(uid: string): void {
    this.#workers.get(uid)?.poke();
  }

  start(): void {
    const { pods, log } = this.#deps;
    pods.addHandlers({
      added: (pod) => this.#wanted(pod),
      updated: (_, pod) => this.#wanted(pod),
      deleted: (pod) => {
        const worker = this.#workers.get(pod.metadata.uid);
        if (worker !== undefined) worker.terminate(pod.metadata.deletionGracePeriodSeconds ?? orphanGraceSeconds);
        else this.#deps.status.forget(pod.metadata.uid);
      },
    });
    this.#scope.run(
      (signal) => this.#followRuntime(signal),
      (error) => log('following the runtime', error),
    );
    this.#scope.run(
      (signal) => this.#keepHouse(signal),
      (error) => log('housekeeping', error),
    );
    this.#scope.defer(async () => {
      await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
    });
  }

  #wanted(pod: Pod): void {
    const { uid, deletionTimestamp } = pod.metadata;
    let worker = this.#workers.get(uid);
    if (worker === undefined) {
      const { phase } = pod.status ?? {};
      // It has run to its end; only its removal is left to do.
      if ((phase === 'Succeeded' || phase === 'Failed') && deletionTimestamp === undefined) return;
      worker = this.#newWorker(pod);
      this.#workers.set(uid, worker);
      this.#deps.objects.register(pod);
      const ran = pod.status?.startTime !== undefined;
      const refused = ran || deletionTimestamp ? undefined : refusal(pod, this.#others(uid), this.#deps.allocatable());
      if (refused !== undefined) {
        this.#deps.recorder.event(reference(pod), 'Warning', refused.reason, refused.message);
        worker.failure = refused;
        worker.terminate(0);
        return;
      }
    } else worker.pod = pod;
    if (deletionTimestamp !== undefined) worker.terminate(pod.metadata.deletionGracePeriodSeconds);
    else worker.poke();
  }

  /** Pods that hold resources: those that ran to their end keep a worker, for their logs, and hold none. */
  #others(uid: string): Pod[] {
    const ended = (worker: PodWorker) => {
      const phase = this.#deps.status.current(worker.uid)?.phase;
      return phase === 'Succeeded' || phase === 'Failed';
    };
    return [...this.#workers.values()]
      .filter((worker) => worker.uid !== uid && worker.state === 'syncing' && !ended(worker))
      .map(({ pod }) => pod);
  }

  #newWorker(pod: Pod): PodWorker {
    const { clock, garbage, runner, runtimePods, log } = this.#deps;
    return new PodWorker(pod, {
      clock,
      runner,
      read: async (uid) => (await runtimePods.pod(uid)) ?? nothing(pod),
      report: (worker, runtime) => this.#report(worker, runtime),
      tidy: (runtime) => garbage.tidy(runtime),
      finished: (worker) => this.#finished(worker),
      log,
    });
  }

  async #report({ pod, failure }: PodWorker, runtime: RuntimePod): Promise<void> {
    const { clock, prober, runner, status, messages, hostIp } = this.#deps;
    await messages.read(pod, runtime);
    const known = status.current(pod.metadata.uid);
    status.set(
      pod,
      podStatus(known === undefined ? pod : { ...pod, status: merged(pod, known) }, {
        runtime,
        nowMs: clock.now(),
        hostIp,
        waitingReason: (container) => runner.waitingReason(pod, container),
        ready: (id) => prober.ready(id),
        started: (id) => prober.started(id),
        terminationMessage: (container) => messages.of(container.id),
        ...(failure && { failure }),
      }),
    );
  }

  #finished(worker: PodWorker): void {
    const { pod } = worker;
    const deleted = pod.metadata.deletionTimestamp !== undefined || this.#deps.pods.get(podKey(pod)) === undefined;
    this.#deps.status.finish(pod);
    this.#deps.objects.forget(pod.metadata.uid);
    if (!deleted) return;
    this.#workers.delete(pod.metadata.uid);
    this.#deps.messages.forget(pod.metadata.uid);
    this.#deps.garbage
      .removeLogs(pod)
      .catch((error: unknown) => this.#deps.log(`removing logs of pod ${podKey(pod)}`, error));
  }

  /** The runtime's own events wake the pods they are about; while it has none to give, its lists are compared. */
  async #followRuntime(signal: AbortSignal): Promise<void> {
    const { cri, clock, log } = this.#deps;
    let hasEvents = true;
    while (!signal.aborted) {
      try {
        if (hasEvents) {
          // What happened while nobody listened.
          for (const worker of this.#workers.values()) worker.poke();
          for await (const event of cri.runtime.getContainerEvents({}, { signal })) {
            const uid = event.podSandboxStatus?.metadata?.uid;
            if (uid !== undefined) this.poke(uid);
          }
        } else await this.#relist();
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = RpcError.from(error);
        log(`${hasEvents ? 'events of the runtime' : 'asking the runtime for its pods'}: ${message}`);
        hasEvents &&= code !== Code.Unimplemented;
      }
      await sleep(clock, relistMs, signal).catch(() => {});
    }
  }

  /** Wakes the pods whose sandboxes or containers are other than at the last look. */
  async #relist(): Promise<void> {
    const states = new Map<string, string>();
    for (const [uid, { sandboxes, containers }] of await this.#deps.runtimePods.list())
      states.set(
        uid,
        [
          ...sandboxes.map(({ id, ready }) => `${id} ${ready}`),
          ...containers.map(({ id, state }) => `${id} ${state}`),
        ].join(),
      );
    for (const uid of this.#workers.keys()) if (states.get(uid) !== this.#listed.get(uid)) this.poke(uid);
    this.#listed = states;
  }

  /** Ends what runs without a pod in the API: left by an earlier kubelet, or deleted while this one was not there. */
  async #keepHouse(signal: AbortSignal): Promise<void> {
    const { clock, garbage, pods, runtimePods, runner, log } = this.#deps;
    await pods.synced;
    while (!signal.aborted) {
      try {
        const wanted = new Set(pods.list().map(({ metadata }) => metadata.uid));
        for (const [uid, runtime] of await runtimePods.list()) {
          if (wanted.has(uid) || this.#workers.has(uid)) continue;
          const pod = ghost(runtime);
          await runner.killPod(pod, runtime, orphanGraceSeconds, signal);
          await runner.cleanUp(pod, runtime, true);
        }
        for (const { metadata } of pods.list()) wanted.add(metadata.uid);
        for (const uid of this.#workers.keys()) wanted.add(uid);
        await garbage.removeOrphans(wanted);
      } catch (error) {
        if (signal.aborted) return;
        log('housekeeping', error);
      }
      await sleep(clock, housekeepingMs, signal).catch(() => {});
    }
  }
}

/** The API's view with what the kubelet has found out since: others' conditions stay theirs. */
function merged(pod: Pod, known: NonNullable<Pod['status']>): NonNullable<Pod['status']> {
  const conditions = new Map((known.conditions ?? []).map((condition) => [condition.type, condition]));
  for (const condition of pod.status?.conditions ?? [])
    if (!conditions.has(condition.type)) conditions.set(condition.type, condition);
  return { ...pod.status, ...known, conditions: [...conditions.values()] };
}

function nothing({ metadata }: Pod): RuntimePod {
  return { uid: metadata.uid, name: metadata.name, namespace: metadata.namespace, sandboxes: [], containers: [] };
}

/** A pod of which only the runtime knows. */
function ghost({ uid, name, namespace, containers }: RuntimePod): Pod {
  return {
    metadata: { uid, name, namespace },
    spec: { containers: containers.map((container) => ({ name: container.name })), restartPolicy: 'Never' },
  };
}

export function reference({ metadata }: Pod) {
  return { apiVersion: 'v1', kind: 'Pod', namespace: metadata.namespace, name: metadata.name, uid: metadata.uid };
}
