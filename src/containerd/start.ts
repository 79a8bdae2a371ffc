/**
 * Starts the container daemon: content, images, snapshots, the runtime and the CRI on top, in that order. What an earlier daemon on the same folders left
 * running is adopted with its pids; what it left half done is taken away. It opens no socket but the streaming server's on loopback: whoever
 * starts it serves `services` where it likes, or calls through `channel`.
 */

import { openCgroups } from '#host-linux/cgroups/open.ts';
import { removeEmptyCgroupTrees } from '#host-linux/cgroups/remove-empty.ts';
import { findHello } from '#host-linux/helper/binary.ts';
import type { Zygote } from '#host-linux/helper/zygote.ts';
import { ContentStore } from '#image/content-store.ts';
import { ImageStore } from '#image/image-store.ts';
import { openMetadataStore } from '#image/metadata-store.ts';
import { hostPlatform } from '#image/platform.ts';
import { openRepository, type RegistryOptions } from '#image/remote/registry-repository.ts';
import { defaultUnpackLimits } from '#image/unpack.ts';
import type { BoundService, Channel } from '#rpc/call.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { createRuntime } from '#runtime/create-runtime.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { type Scope, startInScope } from '#std/scope.ts';
import type { HttpHandler } from '#transport/http.ts';
import { ContainerStore } from './cri/container-store.ts';
import { bundleFolder, type CriContext, type CriPaths, newId, sandboxStateFolder } from './cri/context.ts';
import { CriEvents } from './cri/events.ts';
import type { PodNetwork } from './cri/pod-network.ts';
import { removePodSandbox } from './cri/remove-pod-sandbox.ts';
import { SandboxStore } from './cri/sandbox-store.ts';
import { adoptContainers, bindCri } from './cri/server.ts';
import { unmountRoot } from './cri/start-container.ts';
import { StatsCache } from './cri/stats-cache.ts';
import { stopContainer } from './cri/stop-container.ts';
import { stopSandbox } from './cri/stop-pod-sandbox.ts';
import { StreamingServer } from './cri/streaming-server.ts';
import { dockerApi } from './docker-api.ts';
import { ensureHelloImage } from './images/hello-image.ts';
import { ImageService } from './images/image-service.ts';
import { removeLeftovers, removeWithMounts } from './leftovers.ts';
import { machineFacts } from './machine.ts';
import { openOverlaySnapshotter } from './snapshots/overlay.ts';

export interface ContainerdConfig {
  /** Images, snapshots and records: kept over reboots; on a file system that overlayfs takes as an upper layer. Absolute. */
  readonly root: string;
  /** Running containers: gone with a reboot (/run). Absolute. */
  readonly state: string;
  /**
   * A cgroup of this daemon's own (`/wherry-NAME`) that all of its containers are below, and that `stopAll` and `removeAll` take away. By default pods are
   * where their `cgroupParent` says, and empty folders of pods are the kubelet's to remove.
   */
  readonly cgroupRoot?: string;
  /** What `Version` and `Status` tell (`2.3.4`). Clients branch on it: keep it a version of containerd. */
  readonly version: string;
  /** Node's name of the architecture: `process.arch`. */
  readonly arch: string;
  readonly registries?: RegistryOptions;
}

export interface ContainerdDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  /** Not closed with the daemon. */
  readonly helper: Zygote;
  readonly network: PodNetwork;
  /** Problems that no caller waits for. */
  readonly warn: (message: string, error: unknown) => void;
}

/** A daemon that runs. Disposing lets go of the containers, which run on and can be adopted by the next. */
export interface Containerd extends AsyncDisposable {
  /** Both CRI services, for a listener's dispatcher. */
  readonly services: readonly BoundService[];
  /** The same services called in this process. */
  readonly channel: Channel;
  /** Images over HTTP, for the same listener: what `wherry image` asks. */
  readonly http: HttpHandler;
  readonly images: ImageService;
  /** Ends all containers, each within `graceMs` and then by SIGKILL, and stops all pods. Records, logs and written files stay. */
  stopAll(options?: { readonly graceMs?: number }): Promise<void>;
  /** Removes all pods and containers, with mounts, cgroups, namespaces and addresses. Images stay. */
  removeAll(): Promise<void>;
}

export async function startContainerd(source: {
  readonly config: ContainerdConfig;
  readonly deps: ContainerdDeps;
}): Promise<Containerd> {
  const { config, deps } = source;
  return startInScope((scope) => start(config, deps, scope), deps.warn);
}

async function start(config: ContainerdConfig, deps: ContainerdDeps, scope: Scope): Promise<Containerd> {
  const { clock, prng, helper, network, warn } = deps;
  const paths: CriPaths = { root: config.root, state: config.state };

  const metadata = scope.use(await openMetadataStore(`${paths.root}/io.containerd.metadata.v1.bolt`));
  const snapshots = await openOverlaySnapshotter({
    root: `${paths.root}/io.containerd.snapshotter.v1.overlayfs`,
    metadata,
    clock,
  });
  const platform = hostPlatform(config.arch);
  const images = new ImageService({
    content: await ContentStore.open(`${paths.root}/io.containerd.content.v1.content`, metadata, clock),
    images: new ImageStore(metadata, clock, 'k8s.io'),
    snapshots,
    platform,
    openRepository: openRepository({ clock, ...config.registries }),
    uniqueName: () => newId(prng).slice(0, 16),
    unpackLimits: defaultUnpackLimits,
  });

  const hello = findHello();
  const cgroups = openCgroups();
  const cgroupRoot = config.cgroupRoot ?? '';
  const runtime = scope.use(
    createRuntime({
      stateDir: `${paths.state}/io.containerd.runtime.v2.task.state`,
      helper,
      cgroups,
      clock,
      arch: config.arch as 'x64' | 'arm64',
      warn,
    }),
  );
  const streaming = scope.use(new StreamingServer(clock, prng));
  await streaming.listen();
  const context: CriContext = {
    clock,
    prng,
    runtime,
    helper,
    network,
    images,
    sandboxes: new SandboxStore(metadata),
    containers: new ContainerStore(metadata),
    events: new CriEvents(),
    stats: new StatsCache(clock, snapshots),
    streaming,
    machine: machineFacts(platform.architecture, cgroups.version),
    paths,
    version: config.version,
    cgroupDriver: 'cgroupfs',
    cgroups,
    cgroupRoot,
    busy: new Map(),
    exits: new Map(),
    stopSignaled: new Set(),
    pauseProgram: hello,
    warn,
  };
  await adoptContainers(context);
  await removeLeftovers(context);
  await network.keepOnly?.(new Set(context.sandboxes.list().map(({ id }) => id)));
  await images.recover();
  await ensureHelloImage(images, hello);

  const services = bindCri(context);
  const channel = scope.use(connectInMemory({ services, clock }));
  return {
    services,
    channel,
    http: dockerApi(images),
    images,
    stopAll: (options) => stopAll(context, options?.graceMs ?? 0),
    removeAll: () => removeAll(context),
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

async function stopAll(context: CriContext, graceMs: number): Promise<void> {
  const timeout = BigInt(Math.ceil(graceMs / 1000));
  await settleAll(
    context.containers.list().map(({ id }) => stopContainer(context, { containerId: id, timeout })),
    'stopping containers',
  );
  await settleAll(
    context.sandboxes.list().map((sandbox) => stopSandbox(context, sandbox)),
    'stopping pods',
  );
  // Also of containers that were never started: their pods are over, they will not be.
  for (const { id } of context.containers.list()) unmountRoot(context, id);
  if (context.cgroupRoot !== '') removeEmptyCgroupTrees(context.cgroups.folders(context.cgroupRoot));
}

async function removeAll(context: CriContext): Promise<void> {
  await stopAll(context, 0);
  await settleAll(
    context.sandboxes.list().map(({ id }) => removePodSandbox(context, { podSandboxId: id })),
    'removing pods',
  );
  for (const { id } of await context.runtime.list()) await context.runtime.delete(id, { force: true });
  await removeWithMounts(bundleFolder(context.paths, '').slice(0, -1));
  await removeWithMounts(sandboxStateFolder(context.paths, '').slice(0, -1));
  if (context.cgroupRoot !== '') removeEmptyCgroupTrees(context.cgroups.folders(context.cgroupRoot));
}

/** Waits for all, then throws what went wrong: one failure keeps nobody else from being stopped. */
async function settleAll(work: readonly Promise<unknown>[], what: string): Promise<void> {
  const failures = (await Promise.allSettled(work)).flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${what}: ${failures.length} failures`);
}
