/** ContainerStatus: how far a container has come, and what it was made from. */
import {
  ContainerState,
  ContainerStatus,
  type ContainerStatusRequest,
  type ContainerStatusResponse,
  ImageSpec,
  Signal,
} from '#api-cri/gen/api.ts';
import type { Container } from './container-store.ts';
import type { CriContext } from './context.ts';
import { signalNumber, stopSignalName } from './signal.ts';

export function containerStatus(context: CriContext, request: ContainerStatusRequest): ContainerStatusResponse {
  const container = context.containers.require(request.containerId);
  const info = new Map<string, string>();
  if (request.verbose)
    info.set(
      'info',
      JSON.stringify({
        sandboxID: container.sandboxId,
        pid: container.status.pid,
        removing: context.busy.get(container.id) === 'removing',
      }),
    );
  return { status: containerStatusOf(container), info };
}

export function containerStatusOf(container: Container): ContainerStatus {
  const { config, status, user } = container;
  return ContainerStatus.create({
    id: container.id,
    metadata: config.metadata,
    state: containerStateOf(container),
    createdAt: container.createdAt,
    startedAt: status.startedAt,
    finishedAt: status.finishedAt,
    exitCode: status.exitCode,
    image: imageSpecOf(container),
    imageRef: container.imageRef,
    imageId: container.imageId,
    reason: status.reason,
    message: status.message,
    labels: config.labels,
    annotations: config.annotations,
    mounts: config.mounts,
    logPath: container.logPath,
    resources: container.resources === undefined ? undefined : { linux: container.resources, windows: undefined },
    user: {
      linux: { uid: BigInt(user.uid), gid: BigInt(user.gid), supplementalGroups: user.groups.map(BigInt) },
    },
    stopSignal: criSignal(container.stopSignal),
  });
}

export function containerStateOf({ status }: Container): ContainerState {
  switch (status.state) {
    case 'created':
      return ContainerState.CONTAINER_CREATED;
    case 'running':
      return ContainerState.CONTAINER_RUNNING;
    case 'exited':
      return ContainerState.CONTAINER_EXITED;
    case 'unknown':
      return ContainerState.CONTAINER_UNKNOWN;
  }
}

/** The image as the caller named it. */
export function imageSpecOf({ config }: Container): ImageSpec {
  return ImageSpec.create({
    image: config.image?.userSpecifiedImage || config.image?.image || '',
    userSpecifiedImage: config.image?.userSpecifiedImage ?? '',
  });
}

function criSignal(number: number): Signal {
  for (const value of Object.values(Signal))
    if (value !== Signal.SIGNAL_RUNTIME_DEFAULT && signalNumber(stopSignalName(value)) === number) return value;
  return Signal.SIGNAL_RUNTIME_DEFAULT;
}
