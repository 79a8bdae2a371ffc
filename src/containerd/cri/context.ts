/** What the CRI's RPCs share: the daemon's parts, the stores, and where things are on disk. One record, passed to each RPC's function. */
import type { CgroupManager } from '#host-linux/cgroups/manager.ts';
import type { Zygote } from '#host-linux/helper/zygote.ts';
import type { Runtime } from '#runtime/runtime.ts';
import type { Clock } from '#std/clock.ts';
import { type Prng, randomBytes } from '#std/prng.ts';
import type { ImageService } from '../images/image-service.ts';
import type { Container, ContainerStore } from './container-store.ts';
import type { CriEvents } from './events.ts';
import type { PodNetwork } from './pod-network.ts';
import type { SandboxStore } from './sandbox-store.ts';
import type { MachineFacts } from './spec/container-spec.ts';
import type { StatsCache } from './stats-cache.ts';
import type { StreamingServer } from './streaming-server.ts';

export interface CriContext {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly runtime: Runtime;
  /** Reaches into pods' network namespaces. */
  readonly helper: Zygote;
  readonly network: PodNetwork;
  readonly images: ImageService;
  readonly sandboxes: SandboxStore;
  readonly containers: ContainerStore;
  readonly events: CriEvents;
  readonly stats: StatsCache;
  readonly streaming: StreamingServer;
  readonly machine: MachineFacts;
  readonly paths: CriPaths;
  readonly version: string;
  /** `cgroupfs` or `systemd`: the form of cgroup parents, and what the kubelet is told to use. */
  readonly cgroupDriver: 'cgroupfs' | 'systemd';
  readonly cgroups: CgroupManager;
  /** What every cgroup path begins with: '' or `/name`. */
  readonly cgroupRoot: string;
  /** Containers whose start, stop or removal is under way, by id: these exclude each other. */
  readonly busy: Map<string, 'starting' | 'removing'>;
  /** Settles when a container that was started has ended and its end is recorded. */
  readonly exits: Map<string, Promise<void>>;
  /** Running containers that were sent their stop signal. */
  readonly stopSignaled: Set<string>;
  /** A static program that sleeps as pid 1 of a shared pid namespace; absent where pods cannot share one. */
  readonly pauseProgram: string | undefined;
  /** Where problems go that no caller waits for. */
  readonly warn: (message: string, error: unknown) => void;
}

/** Folders as containerd lays them out. */
export interface CriPaths {
  /** Kept over reboots. */
  readonly root: string;
  /** Gone with a reboot. */
  readonly state: string;
}

export const sandboxFolder = (paths: CriPaths, id: string) => `${paths.root}/io.containerd.grpc.v1.cri/sandboxes/${id}`;
export const sandboxStateFolder = (paths: CriPaths, id: string) =>
  `${paths.state}/io.containerd.grpc.v1.cri/sandboxes/${id}`;
export const bundleFolder = (paths: CriPaths, id: string) =>
  `${paths.state}/io.containerd.runtime.v2.task/k8s.io/${id}`;

/** 64 hexadecimal characters. */
export function newId(prng: Prng): string {
  return Buffer.from(randomBytes(prng, 32)).toString('hex');
}

/** Nanoseconds since 1970. */
export function nowNs(clock: Clock): bigint {
  return BigInt(clock.now()) * 1_000_000n;
}

/** Key of a container's snapshot. */
export function snapshotKey(container: Pick<Container, 'id'>): string {
  return container.id;
}
