/**
 * The container daemon of a node, as the rest of the node sees it: a CRI channel and the ways to end what runs on it. Ours, in this process, is
 * one; anybody's behind a socket is the other (foreign-daemon.ts).
 */
import type { BridgeNetwork } from '#cni/bridge-network.ts';
import { dockerApi } from '#containerd/docker-api.ts';
import { startContainerd } from '#containerd/start.ts';
import { removeTree } from '#host/files.ts';
import type { Zygote } from '#host-linux/helper/zygote.ts';
import type { Channel } from '#rpc/call.ts';
import { createDispatcher } from '#rpc/server.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { startInScope } from '#std/scope.ts';
import { listen } from '#transport/listen.ts';
import type { ClusterPaths } from './paths.ts';

export interface ContainerDaemon extends AsyncDisposable {
  /** CRI v1. */
  readonly channel: Channel;
  /** The cgroup above all pods, as it goes into their `cgroupParent`. */
  readonly podCgroups: string;
  /** Takes away a removed pod's cgroup, where the daemon leaves that to the kubelet. */
  removePodCgroup(path: string): void;
  /** Ends all containers, each within `graceMs` and then by SIGKILL, and stops all pods. */
  stopAll(options: { readonly graceMs: number }): Promise<void>;
  /** Removes all pods and containers. Images stay. */
  removeAll(): Promise<void>;
}

/** containerd's version that our CRI speaks like. */
const containerdVersion = '2.3.4';

/** Ours. It puts pods below the cgroup `cgroupRoot` by itself and takes their folders away; disposing lets containers run on. */
export async function startOwnDaemon(
  { paths, cgroupRoot }: { readonly paths: ClusterPaths; readonly cgroupRoot: string },
  deps: {
    readonly clock: Clock;
    readonly prng: Prng;
    readonly helper: Zygote;
    readonly network: BridgeNetwork;
    readonly log: (message: string, error?: unknown) => void;
  },
): Promise<ContainerDaemon> {
  const { clock, prng, helper, network, log } = deps;
  return startInScope(async (scope) => {
    const containerd = scope.use(
      await startContainerd({
        config: {
          root: paths.containerd,
          state: paths.containerdState,
          cgroupRoot,
          version: containerdVersion,
          arch: process.arch,
        },
        deps: { clock, prng, helper, network, warn: log },
      }),
    );
    await removeTree(paths.containerdSocket);
    scope.use(
      await listen({
        address: { path: paths.containerdSocket },
        handler: dockerApi(containerd.images),
        dispatcher: createDispatcher({ services: containerd.services, clock }),
      }),
    );
    return {
      channel: containerd.channel,
      podCgroups: '/kubepods',
      removePodCgroup: () => {},
      stopAll: (options) => containerd.stopAll(options),
      removeAll: () => containerd.removeAll(),
      [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
    };
  }, log);
}
