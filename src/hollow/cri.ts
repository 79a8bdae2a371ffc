/**
 * A container runtime without containers: CRI v1 over records in memory. A kubelet in front of it cannot tell, so that pods start, fail,
 * restart and go on machines and in numbers where real ones could not. Everything happens on the given clock.
 */
import {
  type Container,
  ContainerEventResponse,
  ContainerEventType,
  ContainerState,
  ContainerStatus,
  Image,
  ImageService,
  ImageSpec,
  PodSandbox,
  PodSandboxNetworkStatus,
  PodSandboxState,
  PodSandboxStatus,
  RuntimeService,
  RuntimeStatus,
  StatusResponse,
} from '#api-cri/gen/api.ts';
import { type BoundService, bind, type Sink } from '#rpc/call.ts';
import { type Clock, sleep, type Timer } from '#std/clock.ts';
import { type Prng, randomBytes } from '#std/prng.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { type Script, type Scripts, scriptFor } from './script.ts';

export interface HollowCriOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly scripts: Scripts;
  /** The address of the nth pod of this node (from 1). */
  readonly addressOf: (index: number) => string;
  /** Keeps a line of a container's log (CRI's format), where logs are wanted. */
  readonly appendLog: (path: string, line: string) => void;
}

interface Sandbox {
  status: PodSandboxStatus;
  readonly logDirectory: string;
}

interface HollowContainer {
  status: ContainerStatus;
  readonly sandboxId: string;
  readonly image: string;
  timer: Timer | undefined;
}

const nsPerMs = 1_000_000n;
const killedExitCode = 137;
const idBytes = 32;

export interface HollowCri {
  readonly services: BoundService[];
  /** The scripts of the containers that run behind a pod's address. */
  scriptsAt(address: string): readonly Script[];
}

export function hollowCri(options: HollowCriOptions): HollowCri {
  const { clock, prng, scripts } = options;
  const sandboxes = new Map<string, Sandbox>();
  const containers = new Map<string, HollowContainer>();
  const images = new Map<string, Image>();
  const followers = new Set<Sink<ContainerEventResponse>>();
  let addresses = 0;

  const newId = () => Buffer.from(randomBytes(prng, idBytes)).toString('hex');
  const nowNs = () => BigInt(clock.now()) * nsPerMs;
  const sandboxOf = (id: string): Sandbox => {
    const sandbox = sandboxes.get(id);
    if (sandbox === undefined)
      throw new RpcError(Code.NotFound, `an error occurred when try to find sandbox: not found: ${JSON.stringify(id)}`);
    return sandbox;
  };
  const containerOf = (id: string): HollowContainer => {
    const container = containers.get(id);
    if (container === undefined)
      throw new RpcError(
        Code.NotFound,
        `an error occurred when try to find container ${JSON.stringify(id)}: not found`,
      );
    return container;
  };
  const tell = (containerId: string, containerEventType: ContainerEventType, sandboxId: string) => {
    const event = ContainerEventResponse.create({
      containerId,
      containerEventType,
      createdAt: nowNs(),
      podSandboxStatus: sandboxes.get(sandboxId)?.status,
    });
    // A follower that does not read loses the thread, and asks for lists.
    for (const follower of followers) follower.send(event);
  };
  const end = (container: HollowContainer, exitCode: number) => {
    container.timer?.[Symbol.dispose]();
    container.timer = undefined;
    if (container.status.state === ContainerState.CONTAINER_EXITED) return;
    container.status = {
      ...container.status,
      state: ContainerState.CONTAINER_EXITED,
      finishedAt: nowNs(),
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
    };
    tell(container.status.id, ContainerEventType.CONTAINER_STOPPED_EVENT, container.sandboxId);
  };
  const run = (container: HollowContainer) => {
    const { exit, logs = [] } = scriptFor(scripts, container.image);
    container.timer = undefined;
    container.status = { ...container.status, state: ContainerState.CONTAINER_RUNNING, startedAt: nowNs() };
    for (const line of logs)
      options.appendLog(container.status.logPath, `${new Date(clock.now()).toISOString()} stdout F ${line}\n`);
    tell(container.status.id, ContainerEventType.CONTAINER_STARTED_EVENT, container.sandboxId);
    if (exit !== undefined) container.timer = clock.after(exit.afterMs, () => end(container, exit.code));
  };
  const matches = (labels: ReadonlyMap<string, string>, selector: ReadonlyMap<string, string> | undefined) => {
    for (const [key, value] of selector ?? []) if (labels.get(key) !== value) return false;
    return true;
  };

  const services = [
    bind(RuntimeService, {
      version: () => ({
        version: '0.1.0',
        runtimeName: 'hollow',
        runtimeVersion: '1.0.0',
        runtimeApiVersion: 'v1',
      }),
      status: () =>
        StatusResponse.create({
          status: RuntimeStatus.create({
            conditions: ['RuntimeReady', 'NetworkReady'].map((type) => ({
              type,
              status: true,
              reason: '',
              message: '',
            })),
          }),
        }),
      runPodSandbox({ config }) {
        const id = newId();
        const status = PodSandboxStatus.create({
          id,
          metadata: config!.metadata,
          state: PodSandboxState.SANDBOX_READY,
          createdAt: nowNs(),
          network: PodSandboxNetworkStatus.create({ ip: options.addressOf(++addresses) }),
          labels: config!.labels,
          annotations: config!.annotations,
        });
        sandboxes.set(id, { status, logDirectory: config!.logDirectory });
        return { podSandboxId: id };
      },
      stopPodSandbox({ podSandboxId }) {
        const sandbox = sandboxes.get(podSandboxId);
        if (sandbox === undefined) return {};
        for (const container of containers.values())
          if (container.sandboxId === podSandboxId) end(container, killedExitCode);
        sandbox.status = { ...sandbox.status, state: PodSandboxState.SANDBOX_NOTREADY };
        return {};
      },
      removePodSandbox({ podSandboxId }) {
        for (const [id, container] of containers)
          if (container.sandboxId === podSandboxId) {
            end(container, killedExitCode);
            containers.delete(id);
          }
        sandboxes.delete(podSandboxId);
        return {};
      },
      podSandboxStatus: ({ podSandboxId }) => ({
        status: sandboxOf(podSandboxId).status,
        info: new Map(),
        containersStatuses: [],
        timestamp: nowNs(),
      }),
      listPodSandbox: ({ filter }) => ({
        items: [...sandboxes.values()]
          .filter(
            ({ status }) =>
              (filter?.id ? status.id === filter.id : true) && matches(status.labels, filter?.labelSelector),
          )
          .map(({ status }) => PodSandbox.create(status)),
      }),
      createContainer({ podSandboxId, config }) {
        const sandbox = sandboxOf(podSandboxId);
        const id = newId();
        const image = config!.image?.userSpecifiedImage || config!.image?.image || '';
        containers.set(id, {
          sandboxId: podSandboxId,
          image,
          timer: undefined,
          status: ContainerStatus.create({
            id,
            metadata: config!.metadata,
            state: ContainerState.CONTAINER_CREATED,
            createdAt: nowNs(),
            image: ImageSpec.create({ image, userSpecifiedImage: image }),
            imageRef: image,
            imageId: image,
            labels: config!.labels,
            annotations: config!.annotations,
            mounts: config!.mounts,
            logPath: `${sandbox.logDirectory}/${config!.logPath}`,
          }),
        });
        tell(id, ContainerEventType.CONTAINER_CREATED_EVENT, podSandboxId);
        return { containerId: id };
      },
      startContainer({ containerId }) {
        const container = containerOf(containerId);
        const { startMs = 0 } = scriptFor(scripts, container.image);
        if (startMs === 0) run(container);
        else container.timer = clock.after(startMs, () => run(container));
        return {};
      },
      async stopContainer({ containerId, timeout }, { signal }) {
        const container = containers.get(containerId);
        if (container === undefined) return {};
        const { stopMs = 0 } = scriptFor(scripts, container.image);
        if (stopMs > 0) await sleep(clock, Math.min(stopMs, Number(timeout) * 1000), signal);
        end(container, killedExitCode);
        return {};
      },
      removeContainer({ containerId }) {
        const container = containers.get(containerId);
        if (container === undefined) return {};
        end(container, killedExitCode);
        containers.delete(containerId);
        tell(containerId, ContainerEventType.CONTAINER_DELETED_EVENT, container.sandboxId);
        return {};
      },
      listContainers: ({ filter }) => ({
        containers: [...containers.values()]
          .filter(
            ({ status, sandboxId }) =>
              (filter?.id ? status.id === filter.id : true) &&
              (filter?.podSandboxId ? sandboxId === filter.podSandboxId : true) &&
              matches(status.labels, filter?.labelSelector),
          )
          .map(({ status, sandboxId }): Container => ({ ...status, podSandboxId: sandboxId })),
      }),
      containerStatus: ({ containerId }) => ({ status: containerOf(containerId).status, info: new Map() }),
      execSync({ containerId, cmd }) {
        const container = containerOf(containerId);
        const { exitCode = 0, stdout = '', stderr = '' } = scriptFor(scripts, container.image).exec?.(cmd) ?? {};
        return { exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) };
      },
      async getContainerEvents(_request, sink, { signal }) {
        followers.add(sink);
        try {
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        } finally {
          followers.delete(sink);
        }
      },
    }),
    bind(ImageService, {
      listImages: () => ({ images: [...images.values()] }),
      imageStatus: ({ image }) => ({ image: images.get(image?.image ?? ''), info: new Map() }),
      async pullImage({ image }, { signal }) {
        const name = image?.image ?? '';
        const { pullError, pullMs = 0 } = scriptFor(scripts, name);
        if (pullMs > 0) await sleep(clock, pullMs, signal);
        if (pullError !== undefined) throw new RpcError(Code.Unknown, pullError);
        images.set(name, Image.create({ id: name, repoTags: [name], size: 1n }));
        return { imageRef: name };
      },
      removeImage({ image }) {
        images.delete(image?.image ?? '');
        return {};
      },
    }),
  ];
  return {
    services,
    scriptsAt: (address) =>
      [...containers.values()]
        .filter(
          ({ status, sandboxId }) =>
            status.state === ContainerState.CONTAINER_RUNNING &&
            sandboxes.get(sandboxId)?.status.network?.ip === address,
        )
        .map(({ image }) => scriptFor(scripts, image)),
  };
}
