/**
 * Reads pods from the runtime over CRI and turns them into the kubelet's nouns. A relist is two list calls, then a status
 * call for each sandbox and container that changed since the last one: an idle node asks for two lists.
 */
import {
  ContainerState,
  type Container as CriContainer,
  type ContainerStatus as CriContainerStatus,
  ListContainersRequest,
  ListPodSandboxRequest,
  type PodSandbox,
  PodSandboxState,
  type PodSandboxStatus,
} from '#api-cri/gen/api.ts';
import type { RuntimeService } from '#cri-client/client.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { Label, type RuntimeContainer, type RuntimePod, type RuntimeSandbox } from './runtime-pod.ts';

const nanosPerMs = 1_000_000n;

export class CriPods {
  readonly #runtime: RuntimeService;
  /** Status by id, kept while the listed state stays what it was. */
  readonly #sandboxes = new Map<string, { readonly state: number; readonly sandbox: RuntimeSandbox }>();
  readonly #containers = new Map<string, { readonly state: number; readonly container: RuntimeContainer }>();

  constructor(runtime: RuntimeService) {
    this.#runtime = runtime;
  }

  /** Every pod the runtime holds, by uid. */
  async list(): Promise<Map<string, RuntimePod>> {
    const [sandboxes, containers] = await Promise.all([
      this.#runtime.listPodSandbox(ListPodSandboxRequest.create()),
      this.#runtime.listContainers(ListContainersRequest.create()),
    ]);
    return this.#assemble(sandboxes.items, containers.containers);
  }

  /** One pod, read afresh. */
  async pod(uid: string): Promise<RuntimePod | undefined> {
    const labelSelector = new Map([[Label.podUid, uid]]);
    const [sandboxes, containers] = await Promise.all([
      this.#runtime.listPodSandbox(
        ListPodSandboxRequest.create({ filter: { id: '', state: undefined, labelSelector } }),
      ),
      this.#runtime.listContainers(
        ListContainersRequest.create({ filter: { id: '', state: undefined, podSandboxId: '', labelSelector } }),
      ),
    ]);
    return (await this.#assemble(sandboxes.items, containers.containers, uid)).get(uid);
  }

  async #assemble(
    sandboxes: readonly PodSandbox[],
    containers: readonly CriContainer[],
    onlyUid?: string,
  ): Promise<Map<string, RuntimePod>> {
    const pods = new Map<
      string,
      { name: string; namespace: string; sandboxes: RuntimeSandbox[]; containers: RuntimeContainer[] }
    >();
    const podOf = (labels: ReadonlyMap<string, string>) => {
      const uid = labels.get(Label.podUid);
      if (uid === undefined) return undefined;
      let pod = pods.get(uid);
      if (pod === undefined) {
        pod = {
          name: labels.get(Label.podName) ?? '',
          namespace: labels.get(Label.podNamespace) ?? '',
          sandboxes: [],
          containers: [],
        };
        pods.set(uid, pod);
      }
      return pod;
    };
    for (const listed of sandboxes) {
      const sandbox = await this.#sandbox(listed);
      if (sandbox !== undefined) podOf(listed.labels)?.sandboxes.push(sandbox);
    }
    for (const listed of containers) {
      const container = await this.#container(listed);
      if (container !== undefined) podOf(listed.labels)?.containers.push(container);
    }
    if (onlyUid === undefined)
      this.#forgetAllBut(new Set(sandboxes.map(({ id }) => id)), new Set(containers.map(({ id }) => id)));
    const result = new Map<string, RuntimePod>();
    for (const [uid, pod] of pods)
      result.set(uid, {
        uid,
        ...pod,
        sandboxes: pod.sandboxes.sort((a, b) => b.createdAtMs - a.createdAtMs || b.attempt - a.attempt),
        containers: pod.containers.sort((a, b) => b.createdAtMs - a.createdAtMs || b.attempt - a.attempt),
      });
    return result;
  }

  async #sandbox(listed: PodSandbox): Promise<RuntimeSandbox | undefined> {
    const known = this.#sandboxes.get(listed.id);
    if (known?.state === listed.state) return known.sandbox;
    const status = await orGone(this.#runtime.podSandboxStatus({ podSandboxId: listed.id, verbose: false }));
    if (status?.status === undefined) return undefined;
    const sandbox = sandboxOf(status.status);
    this.#sandboxes.set(listed.id, { state: listed.state, sandbox });
    return sandbox;
  }

  async #container(listed: CriContainer): Promise<RuntimeContainer | undefined> {
    const known = this.#containers.get(listed.id);
    if (known?.state === listed.state) return known.container;
    const status = await orGone(this.#runtime.containerStatus({ containerId: listed.id, verbose: false }));
    if (status?.status === undefined) return undefined;
    const container = containerOf(status.status, listed.podSandboxId);
    this.#containers.set(listed.id, { state: listed.state, container });
    return container;
  }

  #forgetAllBut(sandboxes: ReadonlySet<string>, containers: ReadonlySet<string>): void {
    for (const id of this.#sandboxes.keys()) if (!sandboxes.has(id)) this.#sandboxes.delete(id);
    for (const id of this.#containers.keys()) if (!containers.has(id)) this.#containers.delete(id);
  }
}

function sandboxOf(status: PodSandboxStatus): RuntimeSandbox {
  const first = status.network?.ip ?? '';
  return {
    id: status.id,
    attempt: status.metadata?.attempt ?? 0,
    ready: status.state === PodSandboxState.SANDBOX_READY,
    createdAtMs: Number(status.createdAt / nanosPerMs),
    ips: [first, ...(status.network?.additionalIps ?? []).map(({ ip }) => ip)].filter((ip) => ip !== ''),
  };
}

function containerOf(status: CriContainerStatus, sandboxId: string): RuntimeContainer {
  return {
    id: status.id,
    sandboxId,
    name: status.metadata?.name ?? '',
    attempt: status.metadata?.attempt ?? 0,
    state: stateName(status.state),
    createdAtMs: Number(status.createdAt / nanosPerMs),
    startedAtMs: Number(status.startedAt / nanosPerMs),
    finishedAtMs: Number(status.finishedAt / nanosPerMs),
    exitCode: status.exitCode,
    reason: status.reason,
    message: status.message,
    image: status.image?.userSpecifiedImage || status.image?.image || '',
    // What a pod's status calls imageID is the runtime's reference: the name with the digest it was pulled by.
    imageId: status.imageRef || status.imageId,
    logPath: status.logPath,
  };
}

function stateName(state: ContainerState): RuntimeContainer['state'] {
  switch (state) {
    case ContainerState.CONTAINER_CREATED:
      return 'created';
    case ContainerState.CONTAINER_RUNNING:
      return 'running';
    case ContainerState.CONTAINER_EXITED:
      return 'exited';
    default:
      return 'unknown';
  }
}

/** Between a list and a status call the thing may have gone. */
async function orGone<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof RpcError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}
